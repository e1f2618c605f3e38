"""Data sets of video description against a plain implementation of what `data_prep.tacos` says it writes."""

import csv
import hashlib
import json

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import DataError, captions, snippets, tacos, vocabulary
from data_prep.dataset import Dataset
from data_prep.features import prepare_npz

from . import caption_rules as rules


def read_list(path):
    """The datasets of a list's HDF5 files, end to end."""
    files = []
    for line in path.read_text().splitlines():
        with h5py.File(line) as file:
            files.append({name: file[name][()] for name in file})
    return {name: np.concatenate([file[name] for file in files]) for name in files[0]}


# ---- a plain implementation --------------------------------------------------------------------------------
def plain(entries, seed, steps, streams):
    """JSON entries with whole splits -> what is due: slot vocabulary, and part -> kind -> dataset -> array."""
    slots, due = {}, {}
    for entry in entries:
        if entry["split"] == "train":
            for slot, said in entry["slots"].items():
                if said and said["words"]:
                    slots.setdefault(slot, set()).update(said["words"])
    slots = {slot: sorted(words) for slot, words in slots.items()}
    table = [(None, None)] + [(slot, word) for slot in slots for word in slots[slot]]
    split = {text: rules.split(text) for entry in entries for text in entry["sentences"]}
    words = rules.vocabulary([split[t] for e in entries if e["split"] == "train" for t in e["sentences"]], 1)
    index = {word: k for k, word in enumerate(words)}
    for part in ("train", "val", "test"):
        pairs = [(entry, text) for entry in entries if entry["split"] == part for text in entry["sentences"]]
        if not pairs:
            continue
        rows = {}
        for k in captions.order(len(pairs), streams, seed, part, True):
            entry, text = pairs[k]
            likeliest, maximum, probability = [], [0] * len(table), [0] * len(table)
            for slot in slots:
                said = entry["slots"].get(slot)
                best = 0
                if said and said["words"]:
                    for word, p in zip(said["words"], said["probabilities"]):
                        if (slot, word) in table:
                            probability[table.index((slot, word))] = p
                    word = said["words"][said["probabilities"].index(max(said["probabilities"]))]
                    best = table.index((slot, word)) if (slot, word) in table else 0
                likeliest.append(best)
                maximum[best] = 1 if best else 0
            sentence = rules.sequences(split[text], entry["id"], index, steps)
            rest = len(slots) - 1
            one = {
                "max": maximum,
                "prob": probability,
                "input_slots": likeliest + [0] * steps,
                "cont_sentence": [0] + [1] * rest + [1] + sentence["cont_sentence"][1:],
                "input_sentence": [0] * len(slots) + sentence["input_sentence"],
                "target_sentence": [-1] * len(slots) + sentence["target_sentence"],
            }
            for name, row in one.items():
                rows.setdefault(name, []).append(row)
        due[part] = {kind: np.array(rows.pop(kind), np.float32) for kind in ("max", "prob")}
        for name, cells in rows.items():
            batches = np.array(cells, np.float32).reshape(-1, streams, len(slots) + steps)
            due[part][name] = np.concatenate([batch.T for batch in batches])
    return table, due


WORDS = ["cut", "peel", "Knife", "a b", "गाजर", "cho\u0301"]
SENTENCES = st.lists(st.sampled_from(["she", "cuts", "the", "carrot", ",", "."]), min_size=1, max_size=8).map(
    lambda words: "x " + " ".join(words)
)


@st.composite
def candidates(draw):
    words = draw(st.lists(st.sampled_from(WORDS), unique=True, max_size=4))
    numbers = [draw(st.integers(1, 20)) for _ in words]
    missing = draw(st.integers(0, 4)) == 0
    return None if missing else {"words": words, "probabilities": [n / sum(numbers) for n in numbers]}


@st.composite
def entries(draw):
    made = [
        {
            "id": f"v{k}é",
            "split": draw(st.sampled_from(["train", "val", "test"])),
            "slots": draw(st.dictionaries(st.sampled_from(["activity", "tool", "where"]), candidates())),
            "sentences": draw(st.lists(SENTENCES, min_size=1, max_size=3)),
        }
        for k in range(draw(st.integers(1, 6)))
    ]
    made[0] |= {"split": "train"}
    made[0]["slots"]["tool"] = {"words": ["cut", "Knife"], "probabilities": [0.5, 0.5]}
    return made + [{"id": "last", "split": "val", "slots": {}, "sentences": ["x"]}]


def write_lines(path, made):
    path.write_text("".join(f"{json.dumps(entry)}\n" for entry in made), encoding="utf-8")
    return path


def normal(made):
    """Words in NFC, as they are kept."""
    return json.loads(json.dumps(made).replace("o\\u0301", "\\u00f3"))


@pytest.mark.slow
@given(entries(), st.integers(1, 4), st.integers(2, 9), st.integers(0, 3))
def test_drawn_snippets_are_written_as_said(tmp_path_factory, made, streams, steps, seed):
    folder = tmp_path_factory.mktemp("drawn")
    found = snippets.read_snippets(write_lines(folder / "set.jsonl", made))
    out = tacos.prepare("drawn", found, folder / "data", tacos.SnippetOptions(seed, steps, streams, min_count=1))
    made = normal(made)
    table, due = plain(made, seed, steps, streams)
    said = json.loads((out / "dataset.json").read_text())
    lines = (out / "slot_vocabulary.txt").read_text().splitlines()
    assert lines == ["<none>"] + [f"{slot}\t{word}" for slot, word in table[1:]]
    assert tacos.SlotVocabulary.read(out / "slot_vocabulary.txt").entries == table[1:]
    slots = list(dict.fromkeys(slot for slot, _ in table[1:]))
    assert (said["kind"], said["slot_words"], said["slots"], said["slot_names"]) == (
        "semantics",
        len(table),
        len(slots),
        slots,
    )
    assert said["vocabulary"] == len(vocabulary.read(out / "vocabulary.txt")) + 1
    assert Dataset(out).kind == "semantics"
    ids, likeliest, vectors = tacos.read_semantics(out)
    assert ids == [entry["id"] for entry in made]
    for part, arrays in due.items():
        assert said["splits"][part]["sentences"] == sum(len(e["sentences"]) for e in made if e["split"] == part)
        for kind in ("max", "prob"):
            held = read_list(out / f"{part}_{kind}.txt")["semantics"]
            assert held.dtype == np.float32
            np.testing.assert_allclose(held, arrays[kind], rtol=1e-6, atol=0)
        held = read_list(out / f"{part}_encoder_decoder.txt")
        for name in held.keys():
            np.testing.assert_array_equal(held[name], arrays[name], err_msg=name)
        assert held.keys() == {"input_slots", *tacos.SENTENCE}
        rows = len(read_list(out / f"{part}_captions.txt")["cont"]) // steps
        assert rows * streams == len(arrays["max"]) and rows * (steps + len(slots)) == len(held["input_slots"])
        shown = {tuple(row) for row in likeliest[[e["split"] == part for e in made]].tolist()}
        first = held["input_slots"].reshape(rows, -1, streams)[:, : len(slots)].transpose(0, 2, 1)
        assert {tuple(row) for row in first.reshape(-1, len(slots)).astype(int).tolist()} == shown
    assert np.array_equal(tacos.one_hot(likeliest, len(table)).sum(1), (likeliest > 0).sum(1))
    assert (vectors[:, 0] == 0).all() and (vectors.sum(1) <= len(slots) + 1e-5).all()
    assert not (out / "truth.json").exists()


def basic(count=12, **changes):
    """Snippets of two slots, a sentence each."""
    made = []
    for k in range(count):
        split = ["train", "train", "val", "test"][k % 4]
        made.append(
            {
                "id": f"v{k}",
                "split": split,
                "sentences": [f"He cuts carrot {k}.", "She peels"],
                "slots": {"activity": {"words": ["cut", "peel"], "probabilities": [0.25, 0.75]}, "tool": "knife"},
            }
            | changes
        )
    return made


def prepare(tmp_path, made, name="data", phrases=None, **options):
    path = write_lines(tmp_path / f"{name}.jsonl", made)
    options = tacos.SnippetOptions(**{"streams": 3, "steps": 6, "min_count": 1} | options)
    return tacos.prepare("set", snippets.read_snippets(path), tmp_path / name, options, phrases)


def test_small_files_hold_whole_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(tacos, "FILE_NUMBERS", 36)  # two batches a file
    whole = prepare(tmp_path, basic(30))
    assert len((whole / "train_prob.txt").read_text().splitlines()) > 2
    _, due = plain(
        [e | {"slots": e["slots"] | {"tool": {"words": ["knife"], "probabilities": [1]}}} for e in basic(30)],
        1701,
        6,
        3,
    )
    np.testing.assert_array_equal(read_list(whole / "train_prob.txt")["semantics"], due["train"]["prob"])
    np.testing.assert_array_equal(
        read_list(whole / "train_encoder_decoder.txt")["input_slots"], due["train"]["input_slots"]
    )
    sizes = [len(h5py.File(line)["semantics"]) for line in (whole / "train_prob.txt").read_text().splitlines()]
    assert set(sizes[:-1]) == {6}


def contents(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes_and_a_run_goes_on(tmp_path, monkeypatch):
    out = prepare(tmp_path, basic())
    before = contents(out)
    prepare(tmp_path, basic())  # finds it whole
    assert contents(out) == before
    out.rename(tmp_path / "kept")
    write = tacos._Files.write

    def cut_off(files, kind, *others):
        if kind == "encoder_decoder":
            raise KeyboardInterrupt
        write(files, kind, *others)

    monkeypatch.setattr(tacos._Files, "write", cut_off)
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path, basic())
    assert not out.exists()
    monkeypatch.setattr(tacos._Files, "write", write)
    prepare(tmp_path, basic())
    assert contents(out) == before
    with pytest.raises(DataError, match="other settings \\(seed\\)"):
        prepare(tmp_path, basic(), seed=2)


def test_val_is_drawn_by_groups_where_there_is_none(tmp_path):
    made = [entry | {"split": "test" if k < 5 else "train", "group": f"g{k // 4}"} for k, entry in enumerate(basic(45))]
    held = json.loads((prepare(tmp_path, made, val_share=0.2) / "captions.json").read_text())["images"]
    split = {entry["file"]: entry["split"] for entry in held}
    assert list(split.values())[:5] == ["test"] * 5
    groups = {}
    for entry in made[5:]:
        groups.setdefault(entry["group"], set()).add(split[entry["id"]])
    assert all(len(splits) == 1 for splits in groups.values())
    assert 8 <= list(split.values()).count("val") <= 11
    again = json.loads((prepare(tmp_path, made, "b", val_share=0.2, seed=5) / "captions.json").read_text())["images"]
    assert {e["file"]: e["split"] for e in again} != split
    one = [entry | {"group": "g"} for entry in made]
    assert "val" not in json.loads((prepare(tmp_path, one, "one") / "dataset.json").read_text())["splits"]


def test_details_truths_and_what_is_left_out(tmp_path):
    made = basic(8)
    for k, entry in enumerate(made):
        entry["detail"] = ["detailed", "short"][k % 2]
        entry["slots"]["activity"]["truth"] = "cut"
    made[0]["truth"] = {"tool": "Knife"}
    made[1]["sentences"] = ["", " . ", "ok"]
    made[5]["sentences"] = []
    out = prepare(tmp_path, made, phrases={"activity": {"cut": "cuts", "peel": "peels"}})
    said = json.loads((out / "dataset.json").read_text())
    assert (said["details"], said["left_out"], said["splits"]["train"]["snippets"]) == (["detailed", "short"], 2, 3)
    truth = json.loads((out / "truth.json").read_text())
    assert truth["phrases"] == {"activity": {"cut": "cuts", "peel": "peels"}, "tool": {"Knife": "Knife"}}
    assert truth["images"]["v0"] == {"activity": "cut", "tool": "Knife"} and "v5" not in truth["images"]
    held = json.loads((out / "captions.json").read_text())["images"]
    assert held[1] == {"file": "v1", "split": "train", "captions": ["ok"], "detail": "short"}


def test_unknown_slot_words_have_no_column(tmp_path):
    made = basic(8)
    made[3]["slots"] = {"activity": {"words": ["stir", "cut"], "probabilities": [0.9, 0.1]}, "place": "sink"}
    out = prepare(tmp_path, made)
    ids, likeliest, vectors = tacos.read_semantics(out)
    words = tacos.SlotVocabulary.read(out / "slot_vocabulary.txt")
    assert words.entries == [("activity", "cut"), ("activity", "peel"), ("tool", "knife")]
    assert likeliest[ids.index("v3")].tolist() == [0, 0]
    np.testing.assert_allclose(vectors[ids.index("v3")], [0, 0.1, 0, 0], rtol=1e-6)
    assert json.loads((out / "dataset.json").read_text())["unknown_slot_words"] == 2
    _, again, unknown = words.encode(
        snippets.read_snippets(
            write_lines(tmp_path / "x.jsonl", [{"video": "n", "slots": made[3]["slots"]}]), described=False
        )
    )
    assert unknown == [("activity", "stir"), ("place", "sink")]
    np.testing.assert_array_equal(again[0], vectors[ids.index("v3")])


SLOT = {"words": ["cut", "peel"], "probabilities": [0.5, 0.5]}


@pytest.mark.parametrize(
    "change, said",
    [
        ({"slots": {"a": SLOT | {"probabilities": [0.5]}}}, "2 words and 1 probabilities"),
        ({"slots": {"a": {"words": ["cut", "peel"]}}}, "2 words and no list of probabilities"),
        ({"slots": {"a": SLOT | {"probabilities": [0.5, 0.4]}}}, "sum to 0.9; they must sum to 1"),
        ({"slots": {"a": SLOT | {"probabilities": [0.6, 0.5]}}}, "sum to 1.1"),
        ({"slots": {"a": SLOT | {"probabilities": [1.1, -0.1]}}}, "probability 1.1"),
        ({"slots": {"a": SLOT | {"probabilities": [1, -0.1]}}}, "probability -0.1 of 'peel'"),
        ({"slots": {"a": SLOT | {"probabilities": [1, float("nan")]}}}, "probability nan"),
        ({"slots": {"a": SLOT | {"probabilities": [1, 10**400]}}}, "a number of more than 300 digits"),
        ({"slots": {"a": SLOT | {"probabilities": [True, 0]}}}, "probability true"),
        ({"slots": {"a": SLOT | {"probabilities": ["1", 0]}}}, "probability '1'"),
        ({"slots": {"a": SLOT | {"words": ["cut", "cut "]}}}, "'cut' stands twice"),
        ({"slots": {"a": SLOT | {"words": ["cut", ""]}}}, "word ''"),
        ({"slots": {"a": SLOT | {"words": ["cut", None]}}}, "word null"),
        ({"slots": {"a": ["cut"]}}, "give {words, probabilities}, a word, or null"),
        ({"slots": {"a": 3}}, "slot a of v0 is 3"),
        ({"slots": {"": SLOT}}, "a slot of v0"),
        ({"slots": {"a": SLOT, "a ": SLOT}}, "named twice"),
        ({"slots": [SLOT]}, "give {slot:"),
        ({"truth": "cut"}, "truth of v0"),
        ({"split": "tain"}, "split 'tain'; it must be train, val or test"),
        ({"split": "restval"}, "split 'restval'"),
        ({"split": None}, "split null"),
        ({"id": None}, "id null"),
        ({"id": ""}, "id ''"),
        ({"id": "a\tb"}, "id 'a\\tb'"),
        ({"id": "a\ud800"}, "half of a surrogate pair"),
        ({"id": "v1"}, ":2: v1 is named twice"),
        ({"sentences": None}, "sentences of v0 is null"),
        ({"sentences": ["a", 3]}, "give a list of texts"),
        ({"detail": ["short"]}, "where a text is due"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(tmp_path, change, said):
    made = basic(2)
    made[0] |= change
    path = write_lines(tmp_path / "set.jsonl", made)
    with pytest.raises(DataError) as refused:
        snippets.read_snippets(path)
    message = str(refused.value)
    assert said in message and message.startswith(f"{path}:") and "\n" not in message and message.isprintable()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["cut", "train"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["words", "probabilities", "truth", "a", "b "]) | st.text(max_size=3), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["id", "video", "split", "detail", "group", "slots", "sentences", "truth"]), JSON, max_size=4
    ),
    st.booleans(),
    st.booleans(),
)
def test_whatever_a_line_holds_it_is_read_or_refused_in_one_line(tmp_path_factory, change, partial, described):
    path = write_lines(tmp_path_factory.getbasetemp() / "fuzz.jsonl", [basic(1)[0] | change])
    try:
        (one,) = snippets.read_snippets(path, partial, described)
    except DataError as error:
        assert str(error).startswith(f"{path}:1: ") and len(str(error).splitlines()) == 1
        return
    for words, probabilities in one.slots.values():
        assert len(words) == len(probabilities) > 0 and len(set(words)) == len(words) and all(words)
        assert all(0 <= number <= 1 for number in probabilities)
        assert sum(probabilities) <= 1 + 1e-9 and (partial or sum(probabilities) >= 1 - 1e-9)
    vocabulary_text = tacos.SlotVocabulary.build([one]).text()
    (path.parent / "slots.txt").write_text(vocabulary_text)
    held = tacos.SlotVocabulary.read(path.parent / "slots.txt")
    assert held.text() == vocabulary_text and not held.encode([one])[2]


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "holds no snippet"),
        (b"\n \n", "holds no snippet"),
        (b"[1]\n", ":1: an object {...} is due, not [1]"),
        (b'{"id": "a"', ":1: cannot be read as JSON (cut off"),
        (b'{"id": ' + b"9" * 5000 + b"}", ":1: "),
        (b'{"id": "\xff"}', "not UTF-8"),
        (b"[" * 100000, ":1: cannot be read as JSON (more than 100"),
    ],
)
def test_files_that_are_no_json_lines(tmp_path, content, said):
    (tmp_path / "x.jsonl").write_bytes(content)
    with pytest.raises(DataError) as refused:
        snippets.read_snippets(tmp_path / "x.jsonl")
    assert said in str(refused.value) and str(refused.value).startswith(f"{tmp_path / 'x.jsonl'}")
    with pytest.raises(DataError, match="(?i)no such file"):
        snippets.read_snippets(tmp_path / "nowhere.jsonl")


def test_sums_that_are_nearly_one_and_likeliest_words_alone(tmp_path):
    near = {"words": ["cut", "peel"], "probabilities": [0.5, 0.504]}
    (slots,) = (s.slots for s in snippets.read_snippets(write_lines(tmp_path / "a.jsonl", basic(1, slots={"a": near}))))
    np.testing.assert_allclose(slots["a"][1], np.array([0.5, 0.504]) / 1.004)
    top = write_lines(
        tmp_path / "b.jsonl",
        basic(
            1,
            slots={
                "a": {"words": ["cut", "x"], "probabilities": [0.5, 0.2]},
                "b": {"words": [], "probabilities": []},
                "c": None,
            },
        ),
    )
    (slots,) = (s.slots for s in snippets.read_snippets(top, partial=True))
    assert slots == {"a": (["cut", "x"], [0.5, 0.2])}
    nothing = write_lines(tmp_path / "c.jsonl", basic(1, slots={"a": {"words": ["x"], "probabilities": [0]}}))
    with pytest.raises(DataError, match="sum to 0"):
        snippets.read_snippets(nothing, partial=True)


def test_no_slots_no_training_and_blanks_in_the_folder(tmp_path):
    for made, said in (
        (basic(4, slots={}), "no training snippet has a slot"),
        (basic(4, split="test"), "no training"),
        (basic(4, sentences=["."]), "no training snippet has a sentence"),
    ):
        with pytest.raises(DataError, match=said):
            prepare(tmp_path, made)
    with pytest.raises(DataError, match="without blanks"):
        prepare(tmp_path, basic(4), "a b")


# ---- CSV and TACoS' files ----------------------------------------------------------------------------------
def write_csv(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def test_a_csv_of_tuples(tmp_path):
    path = write_csv(
        tmp_path / "set.csv",
        [
            ["id", "split", "sentence", "activity", "tool", "tool_probability", "detail"],
            ["a", "train", "He cuts.", "cut", "knife", "0.7", "short"],
            ["a", "train", "A man, cutting", "cut", "knife", "0.7", "short"],
            ["b", "test", "Nothing", "", "", "", ""],
        ],
    )
    one, two = snippets.read_snippets(path)
    assert one == snippets.Snippet(
        "a",
        "train",
        {"activity": (["cut"], [1.0]), "tool": (["knife"], [0.7])},
        ["He cuts.", "A man, cutting"],
        "short",
    )
    assert two == snippets.Snippet("b", "test", {}, ["Nothing"])


HEAD = ["id", "split", "sentence", "tool", "tool_probability"]


@pytest.mark.parametrize(
    "rows, said",
    [
        ([["id", "split", "tool"]], "has no column sentence"),
        ([[*HEAD, "x_probability"]], "column x_probability is of no slot"),
        ([[*HEAD, "tool"]], ":1: two columns 'tool'"),
        ([HEAD, ["a", "train", "s", "k", "0.x"]], ":2: slot tool of a: probability '0.x' is no number"),
        ([HEAD, ["a", "train", "s", "k", "1.5"]], "probability 1.5"),
        ([HEAD, ["a", "train", "s", "k"]], ":2: 4 fields for 5 columns; give each row a tool_probability"),
        ([HEAD, ["a", "train", "s", "k", "1", "2"]], ":2: more fields than columns"),
        ([HEAD, ["a", "train", "s", "k", "1"], ["a", "train", "t", "j", "1"]], ":3: a differs from its line before"),
        ([HEAD, ["a", "tain", "s", "k", "1"]], "split 'tain'"),
        ([HEAD], "holds no snippet"),
        ([], "an empty file; its line 1 must name id, split (train, val or test), sentence"),
    ],
)
def test_a_csv_that_makes_no_sense(tmp_path, rows, said):
    path = write_csv(tmp_path / "set.csv", rows)
    with pytest.raises(DataError) as refused:
        snippets.read_snippets(path)
    assert said in str(refused.value) and str(refused.value).startswith(str(path))


def test_tacos_own_files(tmp_path):
    for level in ("short", "detailed"):
        (tmp_path / level).mkdir()
    (tmp_path / "short" / "index.tsv").write_text(
        "1\tHe cuts.\ts13-d21\t252\t452\n2\tHe peels.\ts13-d21\t252\t452\tx\n"
    )
    (tmp_path / "detailed" / "alignments-text").mkdir()
    (tmp_path / "detailed" / "alignments-text" / "s14-d1.aligned.tsv").write_text(
        "10\t20\t0\t0\tx\ty\tShe stirs.\t\tStirring\n"
    )
    (tmp_path / "detailed" / "alignments-text" / "._s14-d1.aligned.tsv").write_bytes(b"\0\5\x16\7")  # a Mac's
    (tmp_path / "splits").write_text("s13-d21 train\ns14-d1\ttest\n")
    write_lines(tmp_path / "crf.jsonl", [{"id": "short/s13-d21_252_452", "slots": {"activity": SLOT}}])
    levels = {level: tmp_path / level for level in ("short", "detailed")}
    one, two = snippets.read_annotations(levels, tmp_path / "splits", tmp_path / "crf.jsonl")
    assert one == snippets.Snippet(
        "short/s13-d21_252_452",
        "train",
        {"activity": (["cut", "peel"], [0.5, 0.5])},
        ["He cuts.", "He peels."],
        "short",
        "s13-d21",
    )
    assert two == snippets.Snippet(
        "detailed/s14-d1_10_20", "test", {}, ["She stirs.", "Stirring"], "detailed", "s14-d1"
    )
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "s13-d21.sentences.tsv").write_text("1\tHe cuts.\ts13-d21\t252\t452\n")
    assert [s.id for s in snippets.read_annotations({"": tmp_path}, tmp_path / "splits")] == ["s13-d21_252_452"]

    write_lines(tmp_path / "crf.jsonl", [{"id": "nobody", "slots": {"activity": SLOT}}])
    with pytest.raises(DataError, match="names nobody, which no sentence is of"):
        snippets.read_annotations(levels, tmp_path / "splits", tmp_path / "crf.jsonl")
    (tmp_path / "splits").write_text("s13-d21 train\n")
    with pytest.raises(DataError, match="video s14-d1 is not in"):
        snippets.read_annotations(levels, tmp_path / "splits")
    (tmp_path / "short" / "index.tsv").write_text("1\tHe cuts.\ts13-d21\tx\t452\n")
    with pytest.raises(DataError, match="index.tsv:1: frames 'x' to '452'"):
        snippets.read_annotations(levels, tmp_path / "splits")
    (tmp_path / "short" / "index.tsv").write_text("1\tHe cuts.\n")
    with pytest.raises(DataError, match="index.tsv:1: has 2 columns, not 5"):
        snippets.read_annotations(levels, tmp_path / "splits")
    with pytest.raises(DataError, match="has no index.tsv"):
        snippets.read_annotations({"": tmp_path / "nowhere"}, tmp_path / "splits")


# ---- frames ------------------------------------------------------------------------------------------------
def activations(path, counts, size=4, **changes):
    rng = np.random.default_rng(3)
    arrays = {name: rng.normal(size=(count, size)).astype(np.float32) for name, count in counts.items()} | changes
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    return arrays


@pytest.mark.parametrize("kind", ["h5", "npz"])
def test_frames_are_spaced_evenly_or_come_last(tmp_path, monkeypatch, kind):
    steps, streams, frames, made = 6, 3, 5, basic(12, slots={})
    counts = {f"v{k}": 1 + k for k in range(12)}
    arrays = activations(tmp_path / f"f.{kind}", counts)
    monkeypatch.setattr(tacos, "FILE_BYTES", 4 * frames * streams * 4 * 2)  # two batches a file
    out = prepare(tmp_path, made, features=tmp_path / f"f.{kind}", frames=frames)
    said = json.loads((out / "dataset.json").read_text())
    assert (said["frames"], said["feature_size"], said["slots"], said["slot_words"]) == (frames, 4, 0, 0)
    assert not (out / "train_max.txt").exists() and not (out / "slot_vocabulary.txt").exists()
    assert len((out / "train_frames.txt").read_text().splitlines()) == 2
    held, rows = read_list(out / "train_frames.txt")["frames"], read_list(out / "train_frame_sentences.txt")
    sentences = read_list(out / "train_captions.txt")
    training = [entry["id"] for entry in made if entry["split"] == "train" for _ in entry["sentences"]]
    for k, number in enumerate(captions.order(len(training), streams, 1701, "train", True)):
        batch, n = divmod(k, streams)
        name = training[number]
        lacking = max(frames - counts[name], 0)
        if lacking:
            due = [[0] * 4] * lacking + arrays[name].tolist()
        else:
            due = [arrays[name][round(t * (counts[name] - 1) / (frames - 1))].tolist() for t in range(frames)]
        np.testing.assert_array_equal(held[batch * frames : (batch + 1) * frames, n], due)
        of = {blob: array[batch * (frames + steps) : (batch + 1) * (frames + steps), n] for blob, array in rows.items()}
        there = {blob: sentences[blob][batch * steps : (batch + 1) * steps, n] for blob in tacos.SENTENCE}
        assert of["cont_sentence"].tolist() == [0] * (lacking + 1) + [1] * (frames - lacking) + list(
            there["cont_sentence"][1:]
        )
        assert of["input_sentence"].tolist() == [0] * frames + there["input_sentence"].tolist()
        assert of["target_sentence"].tolist() == [-1] * frames + there["target_sentence"].tolist()


@pytest.mark.parametrize(
    "change, said",
    [
        ({"v1": np.zeros((0, 4), np.float32)}, "has float32 (0, 4) as activations of v1"),
        ({"v1": np.zeros(4, np.float32)}, "activations of v1; give floating point (frames, D)"),
        ({"v1": np.zeros((2, 4), int)}, "has int64 (2, 4)"),
        ({"v1": np.zeros((2, 5), np.float32)}, "5 values a frame of v1, 4 of v0"),
        ({"v1": np.full((2, 4), np.nan, np.float32)}, "activations of v1 are not all finite"),
        ({"v1": np.full((2, 4), 1e39)}, "activations of v1 are not all finite"),
    ],
)
@pytest.mark.parametrize("kind", ["h5", "npz"])
def test_features_that_make_no_sense(tmp_path, kind, change, said):
    activations(tmp_path / f"f.{kind}", {f"v{k}": 3 for k in range(4)}, **change)
    with pytest.raises(DataError) as refused:
        prepare(tmp_path, basic(4), features=tmp_path / f"f.{kind}")
    assert said in str(refused.value) and str(refused.value).startswith(str(tmp_path / f"f.{kind}"))


@pytest.mark.parametrize("kind", ["h5", "npz"])
def test_features_that_lack_a_snippet_or_are_none(tmp_path, kind):
    path = tmp_path / f"f.{kind}"
    activations(path, {"v0": 3, "v2": 3, "v3": 3})
    with pytest.raises(DataError, match="has no activations of v1"):
        prepare(tmp_path, basic(4), features=path)
    path.write_bytes(b"no such thing")
    with pytest.raises(DataError, match="no readable HDF5 file"):
        prepare(tmp_path, basic(4), features=path)
    with pytest.raises(DataError, match="(?i)no such file"):
        prepare(tmp_path, basic(4), features=tmp_path / "nowhere.h5")


@pytest.mark.parametrize("kind, other", [("npz", "NPZ"), ("npz", "h5"), ("h5", "npz")])
def test_the_content_tells_the_kind_of_features(tmp_path, kind, other):
    activations(tmp_path / f"f.{kind}", {f"v{k}": 3 for k in range(4)})
    due = tacos.Frames(tmp_path / f"f.{kind}", ["v0", "v1"]).read("v1", 4)
    (tmp_path / f"f.{kind}").rename(tmp_path / f"g.{other}")
    np.testing.assert_array_equal(tacos.Frames(tmp_path / f"g.{other}", ["v0", "v1"]).read("v1", 4), due)


def test_features_of_pythons_objects_are_not_unpickled(tmp_path):
    np.savez(tmp_path / "f.npz", v0=np.array([1, None], dtype=object))
    with pytest.raises(DataError, match="f.npz: v0: no readable array .Python's objects"):
        tacos.Frames(tmp_path / "f.npz", ["v0"])


def features_folder(tmp_path, names, clips=1):
    """Made by `prepare_npz`, with the list of names that `lrcn prepare features --net` adds."""
    rng = np.random.default_rng(3)
    x = {part: rng.normal(size=(clips * len(of), 3, 4)).astype(np.float32) for part, of in names.items()}
    y = {part: np.zeros(len(of), int) for part, of in x.items()}
    np.savez(tmp_path / "x.npz", x_tr=x["train"], y_tr=y["train"], x_te=x["test"], y_te=y["test"], classes=["a"])
    out = prepare_npz(tmp_path / "x.npz", tmp_path / f"features{clips}", videos=2)
    for part, of in names.items():
        (out / f"{part}1_sequences.tsv").write_text(
            "video\tlabel\tfirst\n" + "".join(f"{name}\t0\t1\n" for name in of for _ in range(clips))
        )
    return out, {name: x[part][k] for part, of in names.items() for k, name in enumerate(of)}


def test_features_that_were_prepared_of_videos(tmp_path):
    names = {"train": ["v0", "v1", "v2"], "test": ["v3"]}
    folder, arrays = features_folder(tmp_path, names)
    held = tacos.Frames(folder, ["v3", "v0"])
    for name, array in arrays.items():
        assert held.count(name) == 3
        np.testing.assert_array_equal(held.read(name, 3), array)
    out = prepare(tmp_path, basic(4), features=folder, frames=2)
    assert json.loads((out / "dataset.json").read_text())["feature_size"] == 4
    clips, _ = features_folder(tmp_path, names, clips=2)
    with pytest.raises(DataError, match="has 2 clips of v0; prepare the features without --clips"):
        prepare(tmp_path, basic(4), "b", features=clips)
