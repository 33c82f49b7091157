"""Settings: defaults, environment variables, and messages for invalid values."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from rrg.errors import InputError
from rrg.feedback.urls import checked_database_url
from rrg.ui.settings import Settings


def test_defaults_are_local_and_create_nothing(tmp_path: Path) -> None:
    settings = Settings.from_env({"RRG_HOME": str(tmp_path / "home")})
    assert (settings.host, settings.port, settings.data) == ("127.0.0.1", 7860, None)
    assert settings.weights.name == "weights"
    assert settings.weights.parent == Path(__file__).resolve().parents[2]
    assert make_url(settings.database_url).database == str(tmp_path / "home" / "rrg.sqlite3")
    assert not (tmp_path / "home").exists()


def test_home_defaults_to_a_user_folder_named_after_the_product() -> None:
    assert Settings.from_env({}).home.is_absolute()
    assert Settings.from_env({}).home.name == "rrg"


def test_environment_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "8081")
    monkeypatch.setenv("HOST", "0.0.0.0")
    monkeypatch.setenv("RRG_DATA", str(tmp_path))
    monkeypatch.setenv("RRG_WEIGHTS", str(tmp_path))
    settings = Settings.from_env()
    assert (settings.port, settings.host, settings.data, settings.weights) == (8081, "0.0.0.0", tmp_path, tmp_path)


def test_a_space_is_reached_from_outside_its_container() -> None:
    assert Settings.from_env({"SPACE_ID": "owner/name"}).host == "0.0.0.0"
    assert Settings.from_env({"SPACE_ID": "owner/name", "HOST": "127.0.0.2"}).host == "127.0.0.2"


def test_empty_variables_count_as_unset() -> None:
    names = ("RRG_HOME", "HOST", "PORT", "DATABASE_URL", "RRG_WEIGHTS", "RRG_DATA", "RRG_MEMORY")
    empty = dict.fromkeys((*names, "RRG_KEEP_IMAGES", "RRG_MIRROR"), "")
    assert Settings.from_env(empty) == Settings.from_env({})


def test_home_of_the_user_is_expanded() -> None:
    assert Settings.from_env({"RRG_HOME": "~/rrg-home"}).home == Path.home() / "rrg-home"


def test_images_are_kept_only_when_asked(tmp_path: Path) -> None:
    home = {"RRG_HOME": str(tmp_path)}
    assert Settings.from_env(home).images is None
    assert Settings.from_env({**home, "RRG_KEEP_IMAGES": "0"}).images is None
    assert Settings.from_env({**home, "RRG_KEEP_IMAGES": "1"}).images == tmp_path / "images"
    with pytest.raises(InputError, match="RRG_KEEP_IMAGES"):
        Settings.from_env({"RRG_KEEP_IMAGES": "yes"})


def test_the_mirror_is_a_repository() -> None:
    assert Settings.from_env({}).mirror is None
    assert Settings.from_env({"RRG_MIRROR": "owner/corrections"}).mirror == "owner/corrections"
    for wrong in ("corrections", "https://host/owner/name", "../x", "a/b/c"):
        with pytest.raises(InputError, match=r"RRG_MIRROR .* owner/name"):
            Settings.from_env({"RRG_MIRROR": wrong})


def test_home_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Whatever the database: with PostgreSQL the caches are made first."""
    settings = Settings.from_env({"RRG_HOME": str(tmp_path / "home")})
    settings.make_home()
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    settings.make_home()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="RRG_HOME"):
        Settings.from_env({"RRG_HOME": str(tmp_path / "file" / "home")}).make_home()


@pytest.mark.parametrize("port", ["http", "0", "-1", "65536", "78.60", " ", "٧٨٦٠", "1" * 5000])
def test_bad_port_is_named(port: str) -> None:
    with pytest.raises(InputError, match=r"PORT .* 1 to 65535"):
        Settings.from_env({"PORT": port})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2GB", 2 * 10**9),
        ("1500MB", 1_500_000_000),
        ("1.5 gb", 1_500_000_000),
        (" 300 MB ", 300_000_000),
        ("", 2 * 10**9),
    ],
)
def test_memory_is_a_size(text: str, expected: int) -> None:
    assert Settings.from_env({"RRG_MEMORY": text}).memory == expected


@pytest.mark.parametrize("text", ["2", "GB", "0GB", "-1GB", "2 TB", "1,5GB", "two GB", "1e3MB", "9" * 5000, "٢GB"])
def test_bad_memory_is_named(text: str) -> None:
    with pytest.raises(InputError, match=r"RRG_MEMORY .* 2GB or 1500MB") as error:
        Settings.from_env({"RRG_MEMORY": text})
    assert len(str(error.value)) < 120


@pytest.mark.parametrize("name", ["RRG_DATA", "RRG_WEIGHTS"])
def test_missing_folder_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{name} .*absent.* not a folder"):
        Settings.from_env({name: str(tmp_path / "absent")})


@pytest.mark.parametrize("folder", ["with space", "what?", "number#1", "100%25", "a@b:c", "zürich"])
def test_default_database_lies_in_home_whatever_its_name(folder: str, tmp_path: Path) -> None:
    home = tmp_path / folder
    home.mkdir()
    engine = create_engine(Settings.from_env({"RRG_HOME": str(home)}).database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
    engine.dispose()
    assert [file.name for file in home.iterdir()] == ["rrg.sqlite3"]


@pytest.mark.parametrize("url", ["mysql+nosuchdriver://u:s3cret@h/d", "nosuchdatabase://u:s3cret@h/d"])
def test_message_for_an_unknown_driver_names_the_extra_and_no_password(url: str) -> None:
    with pytest.raises(InputError, match=r"rrg\[postgres\]") as error:
        Settings.from_env({"DATABASE_URL": url})
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("url", ["not a url", "postgresql://u:s3cret@h:port/d"])
def test_unreadable_database_url(url: str) -> None:
    with pytest.raises(InputError, match="DATABASE_URL is not a database URL") as error:
        checked_database_url(url)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_postgres_urls_select_the_driver_of_the_extra(scheme: str) -> None:
    try:
        url = checked_database_url(f"{scheme}://u:s3cret@h/d")
    except InputError as error:
        assert "rrg[postgres]" in str(error) and "psycopg" in str(error)
    else:
        assert url == "postgresql+psycopg://u:s3cret@h/d"


def test_password_is_not_in_the_repr(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s3cret.sqlite3"
    assert "s3cret" not in repr(Settings.from_env({"DATABASE_URL": url}))
