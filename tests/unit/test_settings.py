"""The environment is read strictly, and the instance folder keeps its secret."""

import stat
import threading

import pytest

from core.errors import ConfigurationError
from core.settings import Settings, is_weak_secret, kept_secret


def load(home, **environ):
    return Settings.load({"GUANXI_HOME": str(home), **environ})


def test_defaults_are_sqlite_in_the_instance_folder(tmp_path):
    settings = load(tmp_path / "home")
    assert settings.database_url == f"sqlite:///{tmp_path / 'home' / 'guanxi.db'}"
    assert (settings.is_production, settings.locale, str(settings.time_zone)) == (
        False,
        "",
        "Asia/Shanghai",
    )


def test_secret_is_generated_once_and_kept_private(tmp_path):
    first, second = load(tmp_path), load(tmp_path)
    assert first.secret_key == second.secret_key
    assert len(first.secret_key) == 64
    assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600


def test_secret_file_that_others_can_read_is_closed(tmp_path):
    load(tmp_path)
    (tmp_path / "secret-key").chmod(0o644)
    load(tmp_path)
    assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600


def test_secret_is_the_same_when_many_start_at_once(tmp_path):
    keys = []
    threads = [
        threading.Thread(target=lambda: keys.append(kept_secret(tmp_path))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1


@pytest.mark.parametrize(
    ("environ", "paths"),
    [
        ({"GUANXI_ENV": "prod"}, ["GUANXI_ENV"]),
        (
            {"GUANXI_TIMEZONE": "Mars/Olympus", "GUANXI_LOCALE": "xx"},
            ["GUANXI_LOCALE", "GUANXI_TIMEZONE"],
        ),
        ({"GUANXI_TIMEZONE": "../../etc/passwd"}, ["GUANXI_TIMEZONE"]),
        ({"GUANXI_DATABASE_URL": "mysql://x/y"}, ["GUANXI_DATABASE_URL"]),
        ({"GUANXI_DATABASE_URL": "::"}, ["GUANXI_DATABASE_URL"]),
        ({"GUANXI_PROXIES": "-1"}, ["GUANXI_PROXIES"]),
        ({"GUANXI_ENV": "production", "GUANXI_SECRET_KEY": "secret"}, ["GUANXI_SECRET_KEY"]),
        ({"GUANXI_ENV": "production", "FLASK_DEBUG": "1"}, ["FLASK_DEBUG"]),
    ],
)
def test_wrong_environment_is_refused_naming_each_variable(tmp_path, environ, paths):
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, **environ)
    assert [problem.path for problem in caught.value.problems] == paths


def test_production_generates_a_strong_key_when_none_is_given(tmp_path):
    assert not is_weak_secret(load(tmp_path, GUANXI_ENV="production").secret_key)


@pytest.mark.parametrize(
    "key", ["", "secret", "a" * 64, "changemechangemechangemechangeme123456", "abc" * 20]
)
def test_weak_secrets_are_known(key):
    assert is_weak_secret(key)


def test_settings_never_show_the_secret(tmp_path):
    settings = load(tmp_path)
    assert settings.secret_key not in repr(settings)
