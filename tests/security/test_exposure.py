"""`rightsize doctor` warns of a model's server or a Ray on this machine that other machines reach."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_rightsize.commands import _exposure
from pytest_rightsize.commands.__main__ import main
from pytest_rightsize.commands._exposure import exposed_endpoint, exposed_ray
from pytest_rightsize.providers.listening import listening_sockets, open_addresses
from pytest_rightsize.records import Rung

linux = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux shows its sockets so")
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def table(tmp_path: Path, *sockets: str) -> list[str]:
    path = tmp_path / "tcp"
    path.write_text(HEAD + "".join(f"   0: {one} 00000000:00000000 0\n" for one in sockets))
    return [str(path)]


@pytest.mark.parametrize(
    ("shown", "addresses"),
    [
        ("00000000:1F90 00000000:0000 0A", ["0.0.0.0"]),
        ("0100007F:1F90 00000000:0000 0A", []),
        ("0500000A:1F90 00000000:0000 0A", ["10.0.0.5"]),
        ("0500000A:1F90 00000000:0000 01", []),  # a connection
        ("00000000:1F91 00000000:0000 0A", []),  # another port
        (f"{'0' * 32}:1F90 {'0' * 32}:0000 0A", ["::"]),
        (f"{'0' * 24}01000000:1F90 {'0' * 32}:0000 0A", []),
        ("0000000000000000FFFF00000100007F:1F90 0:0 0A", []),
        ("x:1F90 0:0 0A", []),
    ],
)
@linux
def test_a_table_of_the_kernel_is_read(tmp_path: Path, shown: str, addresses: list[str]) -> None:
    assert open_addresses(0x1F90, table(tmp_path, shown, shown)) == addresses


def test_a_system_that_does_not_tell_warns_of_nothing(tmp_path: Path) -> None:
    assert [*listening_sockets([str(tmp_path / "missing")])] == []


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as one:
        yield one


@linux
@pytest.mark.parametrize(("address", "is_open"), [("0.0.0.0", True), ("127.0.0.1", False)])
def test_a_server_of_this_machine_that_listens_everywhere_is_told(
    listener: socket.socket, address: str, is_open: bool
) -> None:
    listener.bind((address, 0))
    listener.listen()
    port = listener.getsockname()[1]
    rung = Rung(name="a", provider="openai", model="m", options={"base_url": f"http://localhost:{port}/v1"})

    warning = exposed_endpoint(rung)

    assert (warning is not None) is is_open
    if warning is not None:
        assert warning.startswith(f"port {port} is open to the network (0.0.0.0): whoever reaches this machine")
        assert "--host 127.0.0.1" in warning
    by_variable = Rung(name="a", provider="openai", model="m", options={"base_url_env": "PLACE"})
    assert exposed_endpoint(by_variable, {"PLACE": f"http://127.0.0.1:{port}"}) == warning
    assert exposed_endpoint(by_variable, {}) is None


@pytest.mark.parametrize("options", [{"base_url": "http://192.0.2.1:80/v1"}, {"base_url": "x"}, {}])
def test_a_server_elsewhere_is_not_looked_at(options: dict[str, str]) -> None:
    assert exposed_endpoint(Rung(name="a", provider="openai", options=options)) is None


@pytest.mark.parametrize(
    ("environment", "ports"),
    [({"RAY_ADDRESS": "auto"}, [8265, 10001, 6379]), ({"RAY_TMPDIR": "TMP"}, [8265, 10001, 6379]), ({}, [8265])],
)
def test_an_open_ray_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], ports: list[int]
) -> None:
    """Port 6379 is that of other programs too, and counts where Ray was started here."""
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("10.0.0.5:6379")
    elsewhere = {"RAY_TMPDIR": str(tmp_path / "none")}
    here = {name: str(tmp_path) if value == "TMP" else value for name, value in environment.items()}
    monkeypatch.setattr(_exposure, "open_addresses", lambda _: ["0.0.0.0"])

    warnings = [*exposed_ray(elsewhere | here)]

    assert [int(warning.split()[1].rstrip(",")) for warning in warnings] == ports
    assert all("whoever reaches it can run programs here" in warning for warning in warnings)


@linux
def test_doctor_warns_and_finds_no_fault_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], listener: socket.socket
) -> None:
    listener.bind(("0.0.0.0", 0))
    listener.listen()
    port = listener.getsockname()[1]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_exposure, "open_addresses", lambda asked: ["0.0.0.0"] if asked in (port, 8265) else [])
    (tmp_path / "rightsize.toml").write_text(
        f'[ladder.a]\nprovider = "openai"\nmodel = "m"\nmeter = "none"\nbase_url = "http://127.0.0.1:{port}/v1"\n'
    )

    status = main(["doctor", "--offline"])

    printed = capsys.readouterr().out
    assert f"  warning: port {port} is open to the network (0.0.0.0)" in printed
    assert "\nwarning: port 8265, that of Ray's dashboard, is open to the network" in printed
    assert status == 0
