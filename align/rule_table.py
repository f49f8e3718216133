"""The table of the audit's rules.

A row is `id severity threshold unit` (the last two where the rule draws a line), what it means, what to do, and where
the rule comes from.
"""

from __future__ import annotations

__all__ = ["TABLE"]

_EGO4D_158 = "https://github.com/facebookresearch/Ego4d/issues/158"
_EGO4D_347 = "https://github.com/facebookresearch/Ego4d/issues/347"
_IMU2CLIP_4 = "https://github.com/facebookresearch/imu2clip/issues/4"

TABLE: tuple[tuple[str, str, str, str], ...] = (
    # Clocks, as the signals themselves tell them
    (
        "sync-shifted warning 50 ms",
        "One stream is stamped late beside another, by the signals themselves: windows pair what did not coincide.",
        "Correct the offset before training, or leave the pair out where windows are short.",
        f"Ego4D: IMU and video are 0.5 to 1 s apart in many videos, {_EGO4D_158}",
    ),
    (
        "sync-drifting warning 50 ms",
        "Two clocks drift apart over the take by more than this; one offset cannot put it right.",
        "Fit offset and drift for this take, or train on windows near an anchor of its clock.",
        "imu2clip cuts the rate to whole Hz (extract_imu.py): 1.36 s of drift in 300 s",
    ),
    (
        "sync-drift-impossible error 1000 ppm",
        "The drift is more than any quartz has: a rate is wrong, or samples were dropped and the gap closed up.",
        "Do not train on this pair; look at how the stream's times were made.",
        "quartz oscillators of wearables keep within 200 ppm",
    ),
    (
        "sync-jump warning 100 ms",
        "The offset changes at once within the take: recorded samples are missing, and their gap was closed up.",
        "Leave out what follows the jump, or read the stream again with its own time stamps.",
        "imu2clip regenerates stamps from the first sample (extract_imu.py): 3.6 s after one gap of 10 s",
    ),
    (
        "sync-unknown note",
        "Whether two streams are in time cannot be told from their signals.",
        "Trust the clock map's own rule; a take with clear, irregular motion would tell.",
        "correlation of still or strictly periodic motion has no single peak",
    ),
    # What windows hold
    (
        "window-all-zero error",
        "A sensor is 0 throughout windows that call it valid: missing data were filled in.",
        "Leave the sensor out of these windows; a model would learn when data are missing.",
        "imu2clip puts torch.zeros(6, 1000) where the IMU is missing (MMdataloader.py:227)",
    ),
    (
        "window-constant-channel warning 3 s",
        "A channel does not change at all for this long while the sensor is called valid.",
        "Leave the channel's sensor out of these windows: it was stuck, or its samples were held.",
        f"windows of bad IMU that published code lists by hand, {_IMU2CLIP_4}",
    ),
    (
        "window-identical-axes warning",
        "Two axes of one sensor carry the same values throughout windows.",
        "Leave the sensor out: one axis was written over by the other.",
        "reading a triad with one column twice leaves just this trace",
    ),
    (
        "window-saturated warning 0.02 share",
        "Samples stand at the sensor's limit: the true peaks were higher.",
        "Keep such windows for recognition; leave them out where amplitudes count.",
        "PAMAP2's second accelerometer saturates at 6 g; REALWORLD's phones at 2 g",
    ),
    (
        "window-gravity-off warning 2 m/s²",
        "The accelerometer does not read gravity: its unit or scale is off, or gravity was taken out.",
        "Find the unit or scale before mixing it with other sensors.",
        "physics: on average a worn accelerometer reads 9.81 m/s², however it is turned",
    ),
    (
        "window-gap note 500 ms",
        "Windows have a stretch without a usable sample; it is masked.",
        "Nothing, where the model reads the mask; else ask the view for more coverage.",
        f"gaps filled by interpolation pass unseen, {_IMU2CLIP_4}",
    ),
    (
        "mocap-bones-vary warning 0.25 share",
        "Bones change their length within windows by more than this share: the poses are not one body's.",
        "Leave these poses out, or weigh them down; annotated ones hold their lengths better.",
        "physics: bones are rigid",
    ),
    (
        "mocap-few-joints note 0.5 share",
        "Less than this share of a window's joints is annotated; the others are masked.",
        "Nothing, where the model reads the mask; else ask the view for more motion.",
        "Ego-Exo4D annotates only joints that cameras see",
    ),
    (
        "mocap-axis-lost error 0.001 m",
        "A coordinate of all joints does not change over the whole take: an axis of the poses is lost.",
        "Do not use these poses; the third coordinate was likely left out or overwritten.",
        "AURA-MFM reads (x, y, 1) for (x, y, z): a misspelt key (save_imu_mocap, get_coords)",
    ),
    (
        "video-frozen warning 0.5 share",
        "The camera shows one and the same picture for more than this share of windows.",
        "Leave the picture out of these windows: the recording stood still while time went on.",
        "cameras and relays repeat their last frame when they fall behind",
    ),
    (
        "video-black warning 0.5 share",
        "Pictures are black for more than this share of windows.",
        "Leave the picture out of these windows; blanked for privacy, lens covered, or not rendered.",
        "gaps rendered black pass as complete, https://github.com/DAVIAN-Robotics/EgoX/issues/27",
    ),
    # What streams carry
    (
        "sensor-upsampled note 125 Hz",
        "The signal was recorded at no more than this rate: what lies above on the 200 Hz grid is empty.",
        "Ask the view for a rate that the recording carries, or mix with care: models can tell devices by it.",
        "PAMAP2 samples at 100 Hz, REALWORLD at about 50 Hz; interpolation adds no content",
    ),
    # Texts
    (
        "text-far note 3000 ms",
        "Texts tell of a moment this far outside the window that they are paired with.",
        "Check that the view's rule suits this kind of text: some are written long after.",
        "expert commentary is retrospective (Ego-Exo4D docs/annotations/expert_commentary.md)",
    ),
    (
        "text-generic note 0.1 share",
        "Texts say nothing of what is done (a bare tag, one word, `unsure`).",
        "Leave them out of contrastive training: they fit any window.",
        "narrations of Ego4D with #unsure or nothing beyond the tag",
    ),
    (
        "text-repeated note 0.5 share",
        "This share of windows has a text that other windows have, too.",
        "Count equal texts as positives of one another, or they become false negatives.",
        "PRIMUS's custom_val: 21 % of its windows are duplicates",
    ),
    (
        "texts-contradict warning 0.01 share",
        "Texts of one window say opposite things of the same moment.",
        "Look at the annotators' passes; leave out windows where they disagree.",
        "two passes of Ego4D's narrators, several experts of Ego-Exo4D",
    ),
    (
        "label-in-text warning 0.2 share",
        "The window's own label, task or take name stands in its paired text: zero-shot numbers will flatter.",
        "Take such texts, or the prefix that names the task, out before training or evaluating on this label.",
        "AURA-MFM prefixes each comment with the task's name (save_imu_text.py), and its labels are tasks",
    ),
    # Vectors
    (
        "vector-not-finite error",
        "Vectors hold NaN or infinity; a loss over them is NaN.",
        "Embed these rows again; look at the encoder's precision on this device.",
        "half precision overflows above 65504",
    ),
    (
        "vector-norm-off error 0.01 share",
        "Vectors that are to have length 1 are off by more than this share.",
        "Normalise before the mean and after it as the recipe says; embed again.",
        "CLIP4Clip's mean of unit vectors is shorter than 1 until it is normalised again (modules/modeling.py)",
    ),
    (
        "vectors-collapsed error 0.95 cosine",
        "Vectors are all but the same: the encoder sees nothing, or one picture stands for all.",
        "Look at the pictures that went in, and at the weights; do not train on these.",
        "collapse monitors of self-supervised training (TS-JEPA, VICReg): mean pairwise cosine, rank",
    ),
    (
        "text-video-shuffled error",
        "Texts fit their own windows no better than others' windows, in a take where other takes show that they can.",
        "Look at how texts were joined to windows; do not train on this take's pairs.",
        "a column sorted apart from its neighbours leaves just this trace",
    ),
    (
        "video-fits-elsewhere warning 4 s",
        "Texts fit the pictures of another time of the take better than their own, by this much.",
        "Look at the take's clock map and at the rule that places its texts.",
        f"narrations and frames of one take off by frames to seconds, {_EGO4D_347}",
    ),
    (
        "duplicate-windows warning 0.01 share",
        "Windows of one split carry equal signals: they count twice, and are false negatives of one another.",
        "Keep one of each, or forbid both in one batch.",
        "PRIMUS's custom_val: 11,159 narrations give 8,781 distinct windows",
    ),
    # What splits share
    (
        "leak-participant error",
        "A participant is in two splits: the test asks about people that training has seen.",
        "Split by participant, or say that the number is not for new people.",
        "https://github.com/ermongroup/Wifi_Activity_Recognition/issues/47",
    ),
    (
        "leak-capture error",
        "A recording session is in two splits: same room, same day, same clothes.",
        "Split by capture.",
        "AURA-MFM: 239 of 262 test sessions occur in training (splits_exo)",
    ),
    (
        "leak-overlap error",
        "Windows of two splits share recorded time.",
        "Split by take, or leave a gap of one window between splits.",
        "random splits of overlapping windows, https://github.com/fchest/EEG-AAD/issues/7",
    ),
    (
        "leak-signal error 0.05 ratio",
        "Windows of two splits carry the same signal under different ids.",
        "Find the recording that was read twice, and keep it in one split.",
        "https://github.com/AdiiPrabhu/dsctm/issues/52",
    ),
    (
        "leak-vector error 0.999 cosine",
        "Windows of two splits have all but the same video vector.",
        "Find the recording that was read twice; two cameras of one moment belong into one split.",
        "Ego-Exo4D: several cameras share one moment, several takes one capture",
    ),
    (
        "leak-text note",
        "The same text is paired with windows of two splits.",
        "Expect it of short narrations; report retrieval with equal texts counted as right.",
        "narrations repeat: `C walks` is in every split",
    ),
)
