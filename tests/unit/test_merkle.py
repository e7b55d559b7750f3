"""Trees of leaves against the definition in RFC 6962, section 2.1."""

import hashlib

import pytest

from core.workflow.evidence.merkle import Tree, climb, leaf_hash, root_of

#: Roots of 0 to 8 leaves as certificate transparency's own test vectors give them.
LEAVES = [
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("count", range(9))
def test_root_is_that_of_the_published_vectors(count: int) -> None:
    tree = Tree()
    for text in LEAVES[:count]:
        tree.add(hashlib.sha256(b"\x00" + bytes.fromhex(text)).digest())
    assert (tree.root(), len(tree)) == (ROOTS[count], count)


def test_way_of_every_leaf_leads_to_the_root_and_of_no_other() -> None:
    for count in range(1, 20):
        leaves = [f"leaf {number}" for number in range(count)]
        root = root_of(leaves)
        for place, text in enumerate(leaves):
            tree = Tree(watched=place)
            for each in leaves:
                tree.add(leaf_hash(each))
            assert climb(text, tree.path()) == root
            assert climb("another", tree.path()) != root
