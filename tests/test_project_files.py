"""The files that other tools read: they parse, and agree with each other and with the code. No
Docker is needed for it."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.config import Settings
from dev.ports import free_port
from tests.conftest import ROOT, wait_until

PINNED_ACTION = re.compile(r"[\w.-]+/[\w./-]+@v\d+(\.\d+)*")
PINNED_IMAGE = re.compile(r"[\w./-]+:v?\d[\w.-]*")
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::([?-])([^}]*))?\}")
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
SECRETS = {"SECRET_KEY", "POSTGRES_PASSWORD", "AWS_SECRET_ACCESS_KEY"}
ENTRIES = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines() if line)
PYTHON = (ROOT / ".python-version").read_text().strip()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def parsed(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def instructions(text: str) -> list[tuple[str, str]]:
    """A Dockerfile's instructions, each with its arguments, lines that go on joined."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [
        (word, arguments)
        for line in joined.splitlines()
        if line and not line.startswith("#")
        for word, arguments in [line.split(" ", 1)]
    ]


def substituted(value: object, environ: dict[str, str]) -> str:
    """A value of ``compose.yaml`` as Compose passes it on."""

    def replace(found: re.Match[str]) -> str:
        name, kind, default = found.groups()
        return environ.get(name) or (default if kind == "-" else "")

    return VARIABLE.sub(replace, str(value)).replace("$$", "$")


DOCKERFILE = instructions((ROOT / "Dockerfile").read_text())
COMPOSE = parsed("compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
CI = parsed(".github/workflows/ci.yml")
DEVCONTAINER = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())


def arguments_of(word: str) -> list[str]:
    return [arguments for name, arguments in DOCKERFILE if name == word]


def copied_sources() -> set[str]:
    """What the Dockerfile copies out of the repository."""
    copied = [arguments for arguments in arguments_of("COPY") if not arguments.startswith("--from")]
    return {source for arguments in copied for source in arguments.split()[:-1]}


def health_check() -> list[str]:
    (check,) = arguments_of("HEALTHCHECK")
    command: list[str] = json.loads(check[check.index("[") :])
    return command


# ── one Python ───────────────────────────────────────────────────────────────────────────────────


def test_every_file_names_the_same_python() -> None:
    images = [image.split()[0] for image in arguments_of("FROM")]
    images += [CI["jobs"]["ci"]["container"]["image"]]
    assert all(image.startswith(f"python:{PYTHON}-") for image in images), images
    assert f"-{PYTHON}-" in DEVCONTAINER["image"]
    assert PYPROJECT["project"]["requires-python"] == f">={PYTHON}"
    assert PYPROJECT["tool"]["ruff"]["target-version"] == "py" + PYTHON.replace(".", "")
    assert f"Programming Language :: Python :: {PYTHON}" in PYPROJECT["project"]["classifiers"]


def test_the_metadata_names_files_that_are_there() -> None:
    project = PYPROJECT["project"]
    assert all((ROOT / path).is_file() for path in [project["readme"], *project["license-files"]])
    holder = f"Copyright (c) 2026 {project['authors'][0]['name']}"
    licence = (ROOT / "LICENSE").read_text()
    assert licence.startswith(f"{project['license']} License\n")
    assert holder in licence


# ── Dockerfile ───────────────────────────────────────────────────────────────────────────────────


def test_the_dockerfile_copies_what_is_there() -> None:
    sources = copied_sources()
    assert all((ROOT / source).exists() for source in sources), sources
    let_through = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert sources == let_through


def test_the_image_holds_every_package_that_the_application_is_made_of() -> None:
    copied = " ".join(arguments_of("COPY")).split()
    assert {"app", "migrations", "templates", "wsgi.py", "Procfile"} <= set(copied)


def test_the_image_installs_what_is_locked() -> None:
    install = next(arguments for arguments in arguments_of("RUN") if "pip install" in arguments)
    assert "--require-hashes" in install
    assert [
        word
        for word in shlex.split(install)
        if word.endswith(".txt") and not (ROOT / word).exists()
    ] == []
    assert install.endswith("-r requirements.txt")


def test_the_image_runs_as_nobody_special_and_holds_no_secret() -> None:
    assert arguments_of("USER") == ["lightwell"]
    words = [word for word, _ in DOCKERFILE]
    assert words.index("USER") > max(at for at, word in enumerate(words) if word == "RUN")
    set_up = {pair.partition("=")[0] for line in arguments_of("ENV") for pair in line.split()}
    assert set_up <= {name.upper() for name in Settings.model_fields} | {"PATH"}
    assert "SECRET_KEY" not in set_up
    assert not arguments_of("ARG")


def test_the_image_asks_itself_whether_it_is_alive() -> None:
    assert health_check()[:2] == ["python", "-c"]
    assert "/healthz" in health_check()[2]


def test_the_entry_point_runs_the_procfile_s_command(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: echo serving on $PORT\nworker: echo working\n")
    [entry_point] = json.loads(arguments_of("ENTRYPOINT")[0])
    assert json.loads(arguments_of("CMD")[0]) == ["web"]

    def said(*command: str) -> str:
        return subprocess.run(
            [ROOT / entry_point, *command],
            cwd=tmp_path,
            env={"PORT": "8000", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert said("web") == "serving on 8000\n"
    assert said("worker") == "working\n"
    assert said("/bin/echo", "another", "command") == "another command\n"


@pytest.mark.slow
def test_what_the_image_holds_is_enough(tmp_path: Path) -> None:
    """The release step, then a web process, from the copied files alone."""
    image, data = tmp_path / "image", tmp_path / "data"
    image.mkdir()
    data.mkdir()
    for source in copied_sources():
        path = ROOT / source
        (shutil.copytree if path.is_dir() else shutil.copy)(path, image / source)
    procfile = image / "Procfile"
    procfile.write_text(procfile.read_text().replace("0.0.0.0", "127.0.0.1"))
    port = free_port()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "DATA_DIR": str(data),
        "PORT": str(port),
        "SECRET_KEY": "5ec4e7" * 8,
        "REDIS_URL": f"redis://127.0.0.1:{port}/0",
        "IMAGING_PROCESSES": "1",
    }
    [entry_point] = json.loads(arguments_of("ENTRYPOINT")[0])

    def started(*command: str) -> subprocess.Popen[bytes]:
        with (tmp_path / "log").open("ab") as log:
            return subprocess.Popen(command, cwd=image, env=environment, stdout=log, stderr=log)

    assert started(entry_point, "release").wait() == 0
    web = started(entry_point, "web")
    try:
        wait_until(lambda: started(*health_check()).wait() == 0, "the health check")
    finally:
        web.terminate()
        assert web.wait(30) == 0


# ── compose.yaml ─────────────────────────────────────────────────────────────────────────────────


def test_one_image_is_every_entry_of_the_procfile() -> None:
    assert {name: service["command"] for name, service in OURS.items()} == {
        name: name for name in ENTRIES
    }
    assert len({service["image"] for service in OURS.values()}) == 1


@pytest.mark.parametrize("name", OURS)
def test_a_service_s_environment_is_a_production_configuration(name: str) -> None:
    environment = OURS[name]["environment"]
    others = {"WEB_CONCURRENCY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert set(environment) <= {field.upper() for field in Settings.model_fields} | others
    secrets = dict.fromkeys(SECRETS, "5ec4e7" * 8)
    settings = Settings.from_env(
        {key: substituted(value, secrets) for key, value in environment.items()}
    )
    assert settings.app_env == "production"
    assert settings.database_url.startswith("postgresql+psycopg://")
    assert f"-bucket={settings.s3_bucket}" in SERVICES["s3"]["command"].split()


def test_secrets_have_to_be_set() -> None:
    text = (ROOT / "compose.yaml").read_text()
    used = {(name, kind) for name, kind, _ in VARIABLE.findall(text) if name in SECRETS}
    assert used == {(name, "?") for name in SECRETS}


def test_services_find_each_other() -> None:
    environment = OURS["web"]["environment"]
    hosts = {
        re.sub(r"^\w+://(.*@)?", "", VARIABLE.sub("x", environment[name])).split("/")[0]
        for name in ("DATABASE_URL", "REDIS_URL")
    }
    assert {host.partition(":")[0] for host in hosts} <= set(SERVICES)
    endpoint = substituted(environment["S3_ENDPOINT_URL"], {}).removeprefix("http://")
    host, _, port = endpoint.partition(":")
    assert host in SERVICES["s3"]["networks"]["default"]["aliases"]
    assert SERVICES["s3"]["ports"] == [f"127.0.0.1:{port}:{port}"]


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_can_come(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert how["condition"] in CONDITIONS
        if how["condition"] == "service_healthy":
            assert SERVICES[other]["healthcheck"]["test"]
        if how["condition"] == "service_completed_successfully":
            assert other == "release"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_s_ports_and_volumes_are_in_order(name: str) -> None:
    service = SERVICES[name]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert {volume.partition(":")[0] for volume in service["volumes"]} <= set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", sorted(set(SERVICES) - set(OURS)))
def test_images_of_others_are_pinned(name: str) -> None:
    assert PINNED_IMAGE.fullmatch(SERVICES[name]["image"])


# ── CI and what runs at one's desk ───────────────────────────────────────────────────────────────


def test_ci_runs_what_the_project_runs() -> None:
    job = CI["jobs"]["ci"]
    assert CI["permissions"] == {"contents": "read"}
    assert job["timeout-minutes"]
    assert job["steps"][-1] == {"run": ".ci/run"}
    assert (ROOT / ".ci/run").stat().st_mode & 0o111
    actions = [step["uses"] for step in job["steps"] if "uses" in step]
    assert actions
    assert all(PINNED_ACTION.fullmatch(action) for action in actions), actions


def test_the_tools_that_tests_drive_are_installed_everywhere() -> None:
    run = (ROOT / "run").read_text()
    named = re.search(r"for name in ([\w ]+) \"\$@\"", run)
    assert named
    tools = {*named[1].split(), *re.findall(r"missing\+=\((\w+)\)", run), "faketime"}
    ci = " ".join(step.get("run", "") for step in CI["jobs"]["ci"]["steps"])
    for commands in (ci, DEVCONTAINER["onCreateCommand"]):
        assert tools <= set(commands.split()), commands
    assert DEVCONTAINER["postCreateCommand"] == "./run check"


def test_hooks_call_the_project_s_own_tools() -> None:
    (repository,) = parsed(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        tool = hook["entry"].split()[0]
        assert tool.startswith(".venv/bin/")
        assert (ROOT / tool).exists()
        assert hook["language"] == "system"
