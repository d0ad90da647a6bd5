import pytest

from smallprint.core.errors import ConfigError
from smallprint.core.parts import import_part


def test_a_part_is_imported_by_its_path():
    assert import_part("math:sqrt", "head")(9) == 3


@pytest.mark.parametrize("path", ["math", "no_such_module_x:A", "math:none"])
def test_a_path_that_leads_nowhere_is_a_config_error(path):
    with pytest.raises(ConfigError):
        import_part(path, "head")
