"""Examples of the keys of decision tables, whose meaning their models say; `guide` tells both."""

from collections.abc import Mapping

from core.schema.decisiontables import DecisionTable, TableInput, TableRow

#: Model -> key -> what it says, and a value such as people write.
KEYS: Mapping[type, Mapping[str, tuple[str, str]]] = {
    DecisionTable: {
        "decision_table": ("First key: who approves what, as a matrix.", "approver_matrix"),
        "label": ("", "{zh: 审批矩阵, en: Approver matrix}"),
        "hit": ("", "first"),
        "inputs": ("", "[{name: category}, {name: amount, type: number}]"),
        "rows": ("", "[{when: [tea, '< 1000'], approvers: {role: approver}}]"),
    },
    TableInput: {
        "name": ("", "amount"),
        "label": ("", "{zh: 金额, en: Amount}"),
        "type": ("", "number"),
    },
    TableRow: {
        "when": (
            "A cell for each input: `-` anything, `tea, coffee`, `< 1000`, `[10..50)`, "
            "`not(tea)`, `null`.",
            "['tea, coffee', '[1000..5000)']",
        ),
        "approvers": ("", "{role: approver}"),
        "note": ("", "{zh: 按制度第四条, en: Article 4 of the rules}"),
    },
}

#: Model -> where its keys stand in a file.
PLACES: Mapping[type, str] = {
    DecisionTable: "decision_table",
    TableInput: "decision_table · inputs",
    TableRow: "decision_table · rows",
}
