import pytest

from keras_lbreg.search.machines.search_role import read_search_role

NAMES = (
    "KERASTUNER_TUNER_ID",
    "KERASTUNER_ORACLE_IP",
    "KERASTUNER_ORACLE_PORT",
)


@pytest.fixture
def variables(monkeypatch):
    def set_all(*values):
        for name, value in zip(NAMES, values, strict=True):
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)

    return set_all


def test_a_process_alone_has_no_role(variables):
    variables(None, None, None)
    assert read_search_role() is None
    variables("", " ", "")
    assert read_search_role() is None


def test_a_chief_has_chief_in_its_name(variables):
    variables("chief", "10.0.0.1", "8000")
    role = read_search_role()
    assert (role.is_chief, role.address) == (True, "10.0.0.1:8000")
    variables("worker0", "chief.example.org", "08000")
    role = read_search_role()
    assert (role.name, role.is_chief) == ("worker0", False)
    assert role.address == "chief.example.org:8000"


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_addresses_of_ipv6_have_brackets(variables, host):
    variables("chief", host, "8000")
    assert read_search_role().address == "[::1]:8000"


@pytest.mark.parametrize("missing", range(3))
def test_a_missing_variable_is_named(variables, missing):
    values = ["worker0", "10.0.0.1", "8000"]
    values[missing] = None
    variables(*values)
    with pytest.raises(
        ValueError, match=f"Missing environment variable {NAMES[missing]}"
    ):
        read_search_role()


@pytest.mark.parametrize("port", ["port", "0", "65536", "-1", "80.5"])
def test_a_wrong_port_is_named(variables, port):
    variables("chief", "10.0.0.1", port)
    with pytest.raises(ValueError, match=f"KERASTUNER_ORACLE_PORT={port}"):
        read_search_role()


@pytest.mark.parametrize("host", ["10.0.0.1:8000", "http://10.0.0.1"])
def test_a_wrong_host_is_named(variables, host):
    variables("chief", host, "8000")
    with pytest.raises(ValueError, match=f"KERASTUNER_ORACLE_IP={host}"):
        read_search_role()
