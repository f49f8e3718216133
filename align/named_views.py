"""The views that have a name: what each method and each data set is trained and judged on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from sensorloom.align.classes import (
    EGO4D_10,
    EGO4D_15,
    EGOEXO4D_AURA_8,
    EGOEXO4D_PRIMUS_8,
    EGOEXO4D_PRIMUS_WORDS,
    PAMAP2_CLASSES,
    PAMAP2_PROTOCOL_CLASSES,
    REALWORLD_CLASSES,
)
from sensorloom.align.view import CAMERA_SLOTS, TEXT_SOURCES, View

__all__ = ["VIEWS"]

_AURA_AAD = View(
    "aura-aad", ("egoexo4d",), ("head",), (), anchor="texts", requires=("imu", "text"), texts=("atomic",)
)
_AURA_COMMENTARY = replace(_AURA_AAD, name="aura-commentary", texts=("commentary",))
_PRIMUS = replace(_AURA_AAD, name="primus", rate_hz=50, cameras=("ego",))
_HAR_EGOEXO4D = View(
    "har-egoexo4d",
    ("egoexo4d",),
    ("head",),
    EGOEXO4D_PRIMUS_8,
    rate_hz=50,
    label_source="take-name",
    class_words=EGOEXO4D_PRIMUS_WORDS,
)
_HAR_EGO4D = View("har-ego4d", ("ego4d",), ("head",), EGO4D_10, rate_hz=50, label_source="scenario")

VIEWS: Mapping[str, View] = MappingProxyType(
    {
        view.name: view
        for view in (
            # PAMAP2 is AURA's, at its 200 Hz; the others are PRIMUS's, at its 50 Hz [methods §6].
            View("har-pamap2", ("pamap2",), ("chest",), PAMAP2_CLASSES),
            View("har-realworld", ("realworld",), ("head",), REALWORLD_CLASSES, stride_s=2.5, rate_hz=50),
            View(
                "crossl-pamap2",
                ("pamap2",),
                ("hand", "ankle", "chest"),
                PAMAP2_PROTOCOL_CLASSES,
                length_s=5.12,
                stride_s=5.12,
                rate_hz=100,
            ),
            # 50 Hz and windows that overlap by half are ours: CroSSL's code has no REALWORLD [methods §6].
            View(
                "crossl-realworld",
                ("realworld",),
                ("chest", "forearm", "head", "shin", "thigh", "upperarm", "waist"),
                REALWORLD_CLASSES,
                stride_s=2.5,
                rate_hz=50,
            ),
            # `-repo` is the rule of the published code, faults and all, beside the rule that the papers mean.
            _PRIMUS,
            replace(_PRIMUS, name="primus-repo", text_rule="imu2clip"),
            View(
                "aura-video",
                ("egoexo4d",),
                ("head",),
                (),
                requires=("imu", "video"),
                cameras=CAMERA_SLOTS,
            ),
            # The code shows the middle of 10 frames of `cam02` alone [methods §2.5]: here the second by name.
            View(
                "aura-video-repo",
                ("egoexo4d",),
                ("head",),
                (),
                requires=("imu", "video"),
                cameras=("exo2",),
                pooling="middle",
                num_frames=10,
            ),
            _AURA_AAD,
            replace(_AURA_AAD, name="aura-aad-repo", text_rule="aura"),
            _AURA_COMMENTARY,
            replace(_AURA_COMMENTARY, name="aura-commentary-repo", text_rule="aura", leak_free=False),
            View(
                "aura-mocap",
                ("egoexo4d",),
                ("head",),
                (),
                anchor="mocap",
                requires=("imu", "mocap"),
                mocap="world",
            ),
            _HAR_EGOEXO4D,
            replace(
                _HAR_EGOEXO4D,
                name="har-egoexo4d-aura",
                rate_hz=200,
                classes=EGOEXO4D_AURA_8,
                label_source="task",
                class_words=(),
            ),
            _HAR_EGO4D,
            replace(_HAR_EGO4D, name="har-ego4d-15", classes=EGO4D_15),
            View(
                "all-modalities",
                ("egoexo4d", "ego4d"),
                ("head", "head-left"),
                (),
                requires=(),
                cameras=CAMERA_SLOTS,
                texts=TEXT_SOURCES,
                mocap="world",
            ),
        )
    }
)
