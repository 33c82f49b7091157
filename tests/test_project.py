"""Checks of the repository: dependencies, sizes, layout, and every command and name README gives."""

from __future__ import annotations

import ast
import functools
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import packages_distributions, version
from itertools import takewhile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from recipes import RECIPES
from rrg.inference.library import ModelLibrary
from training.command_line import parse

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
REQUIREMENTS = {
    canonicalize_name(requirement.name): requirement
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    if (text := line.split("#")[0].strip())
    for requirement in [Requirement(text)]
}
PLUGINS = {"pylibjpeg", "pylibjpeg-openjpeg", "python-gdcm", "accelerate", "tensorboard", "torchvision"}
"""Used by another library, which finds them when they are installed."""


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """The files of the repository: those of git and new ones that it does not ignore."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs git and a checkout to know which files belong to the repository")
    return [path for name in set(listing.decode().split("\0")) if name and (path := ROOT / name).is_file()]


def _shell_commands() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def _imported_packages() -> set[str]:
    files = [ROOT / "app.py", *ROOT.glob("rrg/**/*.py"), *ROOT.glob("train/**/*.py")]
    scripts = {path.stem for path in ROOT.glob("train/*")}
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {module.split(".")[0] for module in modules} - sys.stdlib_module_names - {"rrg"} - scripts


# Dependencies


@pytest.mark.parametrize("name", sorted(REQUIREMENTS))
def test_installed_dependency_is_within_its_bounds(name: str) -> None:
    bounds = REQUIREMENTS[name].specifier
    assert {">=", "<"} <= {bound.operator for bound in bounds}, "a dependency has a lower and an upper bound"
    assert version(name) in bounds


def test_dependencies_are_what_the_code_imports() -> None:
    distributions = packages_distributions()
    imported = {
        module: {canonicalize_name(d) for d in distributions.get(module, [])} for module in _imported_packages()
    }
    undeclared = {module for module, names in imported.items() if not names & REQUIREMENTS.keys()}
    extras = {"psycopg", "pyarrow", "wandb"}  # radgraph and radeval are imported by name
    assert undeclared - extras == set()
    unused = REQUIREMENTS.keys() - set().union(*imported.values()) - PLUGINS
    assert unused == set()


# Sizes and contents


def test_weights_can_be_stored_without_large_file_storage() -> None:
    sizes = {str(file.relative_to(ROOT)): file.stat().st_size for file in ROOT.glob("weights/**/*") if file.is_file()}
    assert {name: size for name, size in sizes.items() if size > 10_000_000} == {}
    assert sum(sizes.values()) < 80_000_000


def test_each_model_has_weights_configuration_and_card() -> None:
    folders = [folder for folder in (ROOT / "weights").iterdir() if folder.is_dir()]
    assert folders
    for folder in folders:
        names = {file.name for file in folder.iterdir()}
        assert {"config.json", "tokenizer.json", "README.md"} <= names, folder.name
        assert any(name.endswith(".safetensors") for name in names), folder.name
        assert "research use only" in (folder / "README.md").read_text(encoding="utf-8").lower()


def test_no_radiograph_is_in_the_repository(tracked: list[Path]) -> None:
    """Documentation shows the app on synthetic images; everything else is made by the tests."""
    images = {".dcm", ".dicom", ".webp", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".tar", ".gz", ".zip"}
    found = [file.relative_to(ROOT).as_posix() for file in tracked if file.suffix.lower() in images]
    assert [name for name in found if not re.fullmatch(r"docs/\w+\.(png|webp)", name)] == []


def test_no_file_names_the_machine_it_was_written_on(tracked: list[Path]) -> None:
    machine = re.compile(r"(?<![\w.~$}/-])/(?:home|Users|root|work|mnt|media)/\w")
    kinds = {".py", ".md", ".toml", ".txt", ".js", ".css", ".html", ".json", ".sh", ""}
    texts = {
        file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8")
        for file in tracked
        if file.suffix in kinds and file.stat().st_size < 1_000_000
    }
    found = {name: match.group() for name, text in texts.items() if (match := machine.search(text))}
    assert found == {}


@pytest.mark.parametrize("folder", ["rrg", "train", "scripts"])
def test_source_files_stay_short(folder: str) -> None:
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines())
        for file in (ROOT / folder).rglob("*.py")
    }
    assert lengths
    assert {name: length for name, length in lengths.items() if length > 420} == {}


# README


def test_front_matter_fits_a_space_and_the_project() -> None:
    space = yaml.safe_load(README.split("---")[1])
    assert space["sdk"] == "gradio"
    assert space["sdk_version"] in REQUIREMENTS["gradio"].specifier
    assert space["python_version"] in SpecifierSet(PYPROJECT["project"]["requires-python"])
    assert (ROOT / space["app_file"]).is_file()
    assert space["license"].upper() == PYPROJECT["project"]["license"]
    assert len(space["short_description"]) <= 60


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
        assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize(
    "page",
    [
        *(
            "README.md",
            "CONTRIBUTING.md",
            "docs/api.md",
            "docs/architecture.md",
            "docs/deploy.md",
            "docs/evaluation.md",
        ),
        *(
            "docs/feedback.md",
            "docs/quality.md",
            "docs/reading.md",
            "docs/reader_studies.md",
            "docs/results.md",
            "docs/security.md",
            "docs/training.md",
        ),
    ],
)
def test_paths_on_a_page_exist(page: str) -> None:
    """Also those in a drawing, which names files of `rrg/` without that folder."""
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w./-])((?:\w+/)+\w+\.py)\b", text))
    roots = (ROOT, ROOT / "rrg")
    assert [name for name in sorted(named) if not any((root / name).is_file() for root in roots)] == []
    if page == "docs/architecture.md":
        assert len(named) > 15


def test_the_package_has_few_entries(tracked: list[Path]) -> None:
    entries = {path.relative_to(ROOT / "rrg").parts[0] for path in tracked if path.is_relative_to(ROOT / "rrg")}
    assert len(entries) <= 14, sorted(entries)


WITHOUT_A_MODULE = {
    "tests/test_contributing.py",  # the example of CONTRIBUTING.md
    "tests/test_project.py",
    "tests/test_newcomer.py",  # from a download to an exported model
    "tests/test_readme.py",  # the examples of README.md
    "tests/test_command_line.py",  # rrg/__main__.py
    "tests/data/radiographs/test_cases.py",  # files that were read wrong
    "tests/data/radiographs/test_dicom_contradictions.py",  # headers against pixels
    "tests/data/radiographs/test_dicom_forms.py",
    "tests/data/radiographs/test_fuzz.py",
    "tests/feedback/test_failures.py",  # full disks, locks, lost files and servers
    "tests/feedback/test_storm.py",  # a server that is killed
    "tests/layers/test_layers.py",  # the whole folder
    "tests/models/test_contract.py",  # all architectures
    "tests/models/test_published.py",
    "tests/models/vit_gpt2/test_stages.py",
    "tests/train/conversion/test_full_size.py",  # against published_code.py
    "tests/train/training/test_examples.py",  # docs/training.md
    "tests/train/training/test_learning.py",
    "tests/ui/components/test_viewer_boxes.py",  # scripts of the viewer
    "tests/ui/components/test_viewer_maps.py",
    "tests/ui/test_bombs.py",  # PNG files that inflate, from the upload to the reader
    "tests/ui/test_compare.py",  # in a browser
    "tests/ui/test_layout.py",
    "tests/ui/test_journey.py",  # in a browser
    "tests/ui/test_notes.py",  # with the bundled checks
    "tests/ui/test_overlays.py",
    "tests/ui/test_real_model.py",
    "tests/ui/test_start.py",  # app.py
}


def test_tests_mirror_the_code(tracked: list[Path]) -> None:
    """Each file of tests has the name and place of the module that it tests."""
    tests = {path for path in tracked if path.name.startswith("test_") and path.suffix == ".py"}
    names = {path.relative_to(ROOT).as_posix() for path in tests} - WITHOUT_A_MODULE
    assert {path.relative_to(ROOT).as_posix() for path in tests} >= WITHOUT_A_MODULE

    def module(name: str) -> Path:
        path = Path(name).relative_to("tests")
        parent = ROOT / path.parent if path.parts[0] == "train" else ROOT / "rrg" / path.parent
        return parent / path.name.removeprefix("test_")

    lost = {name for name in names if not module(name).is_file() and not module(name).with_suffix("").is_dir()}
    assert lost == set()


def test_layout_names_every_folder() -> None:
    tree = README.split("## What is where")[1].split("```")[1]
    named = [line.split()[0] for line in tree.strip().splitlines()]
    assert [name for name in named if not (ROOT / name).exists()] == []
    folders = {f"rrg/{init.parent.name}/" for init in ROOT.glob("rrg/*/*.py")}
    assert folders <= set(named)


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    pages = README + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", pages, re.MULTILINE))
    assert named and named <= targets


@pytest.mark.slow
def test_the_command_for_a_model_without_weights_trains_and_installs_it() -> None:
    """The scripts accept the commands that make runs, and each architecture has the recipe that they name."""
    if shutil.which("make") is None:
        pytest.skip("needs make")

    for info in ModelLibrary(ROOT / "none").list():
        make, copy = info.note.removeprefix("No weights yet. Train it: ").split(" && ")
        planned = subprocess.run(
            [*shlex.split(make), "--dry-run", "--always-make"], capture_output=True, text=True, check=True, cwd=ROOT
        )
        scripts = [shlex.split(line)[1:] for line in planned.stdout.splitlines() if "/python train/" in line]
        for words in scripts:
            if words[0] == "train/train.py":
                assert parse(words[1:]).architecture == info.name  # exits for an option that it does not know
                continue
            assert [word for word in words if word.startswith("--") and word not in _help_of(words[0])] == []
        encoder, train = scripts[0], scripts[-1]
        assert (encoder[0], *train[:2]) == ("train/pretrain_encoder.py", "train/train.py", info.name)
        assert Path(train[train.index("--encoder") + 1]).parent == Path(encoder[encoder.index("--out") + 1])
        assert shlex.split(copy) == ["cp", "-r", train[train.index("--out") + 1], f"weights/{info.name}"]
        assert "small" in RECIPES[info.name]


@pytest.mark.slow
@pytest.mark.parametrize("command", [line for line in _shell_commands() if line.startswith("python ")])
def test_python_command_knows_its_options(command: str) -> None:
    words = shlex.split(command)[1:]
    if words[0] == "train/train.py" and "--help" not in words:
        assert parse(words[1:]).architecture == words[1]  # exits for an option that it does not know
        return
    options = [word for word in words if word.startswith("--") and word != "--help"]
    script = ("-m", "rrg", *takewhile(str.isalpha, words[2:])) if words[0] == "-m" else tuple(words[:1])
    assert [option for option in options if option not in _help_of(*script)] == []


@functools.cache
def _help_of(*script: str) -> str:
    """What a script prints for --help; started once, since it imports torch."""
    answer = subprocess.run([sys.executable, *script, "--help"], capture_output=True, text=True, cwd=ROOT)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_python_examples_import_what_exists() -> None:
    examples = [ast.parse(example) for example in re.findall(r"```python\n(.*?)```", README, re.DOTALL)]
    imports = [node for tree in examples for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert imports
    for node in imports:
        module = import_module(node.module or "")
        assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def test_settings_of_the_containers_are_known() -> None:
    """Those that Dockerfile and compose.yaml set, beside those of the libraries."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    named = {*services["app"]["environment"], *re.findall(r"\b((?:RRG_[A-Z]+|HOST|PORT))=", dockerfile)}
    source = (ROOT / "rrg" / "ui" / "settings.py").read_text(encoding="utf-8")
    assert named and {name for name in named if f'"{name}"' not in source} == set()
    subnet = services["app"]["environment"]["RRG_PROXIES"]
    network = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["networks"]["inside"]
    assert network["ipam"]["config"] == [{"subnet": subnet}], "the proxy is believed by its network"


def test_the_container_installs_torch_from_the_dependencies() -> None:
    pattern = re.search(r"grep -E '([^']+)' requirements.txt", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert pattern
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line).name for line in lines if re.match(pattern[1], line)]
    assert found == ["torch", "torchvision"]


@pytest.mark.slow
def test_the_repository_is_a_space_that_starts_without_network(tracked: list[Path]) -> None:
    assert tracked
    answer = subprocess.run([sys.executable, "scripts/space_check.py"], capture_output=True, text=True, cwd=ROOT)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "a report was written" in answer.stdout


def test_settings_are_those_that_are_read() -> None:
    table = README.split("## Settings")[1].split("##")[0]
    named = {name for row in table.splitlines() if row.startswith("| `") for name in re.findall(r"`([A-Z_]+)`", row)}
    source = (ROOT / "rrg" / "ui" / "settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'"((?:RRG_)?[A-Z]+(?:_[A-Z]+)*)"', source))
    assert named == read


def test_tests_named_on_the_page_on_security_exist() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", text)
    assert len(named) > 30
    assert [
        f"{file}::{name}" for file, name in named if f"def {name}(" not in (ROOT / file).read_text(encoding="utf-8")
    ] == []
