"""From a view's name and the configuration to its recipe: sensible defaults, and errors that say what is missing."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from sensorloom.align.named_views import VIEWS
from sensorloom.align.view import View
from sensorloom.flows.config import ViewConfig, load_config
from sensorloom.flows.errors import ConfigError
from sensorloom.flows.views import resolve_view


@pytest.mark.parametrize(
    ("name", "length_s", "stride_s"),
    [("har-ego4d", 1.0, 1.0), ("har-realworld", 10.0, 5.0), ("crossl-pamap2", 2.56, 2.56)],
)
def test_another_length_keeps_how_much_windows_overlap(name, length_s, stride_s):
    view = resolve_view(name, load_config(None, {f"views.{name}.length_s": str(length_s)}))
    assert (view.length_s, view.stride_s) == (length_s, stride_s)


def test_a_stride_that_is_given_stands():
    config = load_config(None, {"views.har-ego4d.length_s": "1", "views.har-ego4d.stride_s": "5"})
    assert resolve_view("har-ego4d", config).stride_s == 5.0


def test_windows_of_a_new_view_stand_end_to_end():
    settings = {"datasets": '["ego4d"]', "positions": '["head"]', "length_s": "2.5"}
    config = load_config(None, {f"views.mine.{key}": value for key, value in settings.items()})
    assert resolve_view("mine", config).stride_s == 2.5


def test_a_new_view_is_told_what_it_lacks():
    config = load_config(None, {"views.mine.datasets": '["ego4d"]'})
    with pytest.raises(ConfigError, match=r"\[views\.mine\] defines a new view, so it needs positions too"):
        resolve_view("mine", config)


def test_labels_of_a_vocabulary_need_classes():
    settings = {"datasets": '["egoexo4d"]', "positions": '["head"]', "label_source": '"keystep"'}
    config = load_config(None, {f"views.mine.{key}": value for key, value in settings.items()})
    with pytest.raises(ConfigError, match=r"label_source = 'keystep' .* and classes, .* is missing"):
        resolve_view("mine", config)


def test_every_field_of_a_view_but_its_name_can_be_set():
    assert ["name", *ViewConfig.model_fields] == [field.name for field in fields(View)]


def test_a_file_says_how_shards_hold_a_view(tmp_path):
    path = tmp_path / "sensorloom.toml"
    path.write_text('[views.har-ego4d]\nimu_type = "int16"\nlayout = "compressed"\n')
    expected = replace(VIEWS["har-ego4d"], imu_type="int16", layout="compressed")
    assert resolve_view("har-ego4d", load_config(path)) == expected
    path.write_text('[views.har-ego4d]\nimu_type = "int8"\n')
    with pytest.raises(ConfigError, match=r"imu_type = 'int8' .*: must be 'float32', 'float16' or 'int16'"):
        load_config(path)
