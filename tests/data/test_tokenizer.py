"""The report tokenizer with a vocabulary of words and with byte pairs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from rrg.data.text import clean_iu_xray
from rrg.data.tokenizer import ReportTokenizer
from rrg.errors import InputError

REPORTS = ["The heart is normal.", "The heart is large.", "The lungs are clear. The heart is normal."]


@pytest.fixture(scope="module")
def tokenizer() -> ReportTokenizer:
    return ReportTokenizer.build(REPORTS, threshold=2)


def numbered_words(count: int) -> str:
    return " ".join(f"word{i}" for i in range(count - 1)) + "."


def test_words_are_sorted_and_id_0_is_bos_eos_and_pad(tokenizer: ReportTokenizer) -> None:
    assert tokenizer.convert_ids_to_tokens([1, 2, 3, 4, 5, 6]) == [".", "<unk>", "heart", "is", "normal", "the"]
    assert len(tokenizer) == 7
    assert tokenizer.bos_token_id == tokenizer.eos_token_id == tokenizer.pad_token_id == 0
    assert tokenizer.unk_token_id == 2


def test_reports_are_encoded_and_decoded(tokenizer: ReportTokenizer) -> None:
    ids = tokenizer.encode_report("The HEART is huge.", max_length=60)
    assert ids == [0, 6, 3, 4, 2, 1, 0]
    assert tokenizer.decode_words(ids) == ["the", "heart", "is", "<unk>", "."]
    assert tokenizer.decode_words([6, 3, 0, 4]) == ["the", "heart"]
    assert tokenizer.decode_words([0, 0, 6]) == tokenizer.decode_words([0]) == tokenizer.decode_words([]) == []


@pytest.mark.parametrize(
    ("words", "length", "ended"), [(57, 59, True), (58, 60, True), (59, 60, False), (70, 60, False)]
)
def test_long_reports_lose_eos(words: int, length: int, ended: bool) -> None:
    report = numbered_words(words)
    tokenizer = ReportTokenizer.build([report], threshold=1)
    ids = tokenizer.encode_report(report, max_length=60)
    assert len(ids) == length
    assert ids[0] == 0
    assert (ids[-1] == 0) == ended
    assert len(tokenizer.decode_words(ids[1:])) == len(tokenizer.decode_words(ids)) == min(words, 59)


@pytest.mark.parametrize("cleaner", ["iu_xray", "mimic_cxr", "strict"])
def test_saving_and_loading_changes_nothing(tmp_path: Path, cleaner: str) -> None:
    tokenizer = ReportTokenizer.build([*REPORTS, "A 2.5 cm nodule.\nNo change."], threshold=1, cleaner=cleaner)
    tokenizer.save_pretrained(tmp_path)
    loaded = ReportTokenizer.from_pretrained(tmp_path, local_files_only=True)
    assert isinstance(loaded, ReportTokenizer)
    assert loaded.cleaner == cleaner
    assert loaded.get_vocab() == tokenizer.get_vocab()
    report = "The heart has a 2.5 cm nodule.\nIt is new."
    assert loaded.encode_report(report, 60) == tokenizer.encode_report(report, 60)
    assert "nodule" in loaded.decode_words(loaded.encode_report(report, 60))


def test_transformers_loads_the_same_vocabulary_without_this_package(
    tokenizer: ReportTokenizer, tmp_path: Path
) -> None:
    tokenizer.save_pretrained(tmp_path)
    plain = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    assert plain("the heart is huge .").input_ids == tokenizer.encode_report("The heart is huge.", max_length=60)
    assert plain.pad_token_id == 0


def test_an_unknown_cleaner_and_an_empty_vocabulary_are_refused() -> None:
    with pytest.raises(InputError, match="iu_xray, mimic_cxr, strict"):
        ReportTokenizer.build(REPORTS, threshold=1, cleaner="r2gen")
    with pytest.raises(InputError, match="lower threshold"):
        ReportTokenizer.build(REPORTS, threshold=100)


def test_the_published_iu_xray_vocabulary(shared_data) -> None:
    annotation = json.loads((shared_data / "iu_xray" / "annotation.json").read_text())
    tokenizer = ReportTokenizer.build((record["report"] for record in annotation["train"]), threshold=3)
    words = tokenizer.convert_ids_to_tokens(list(range(1, 761)))
    assert len(tokenizer) == 761
    assert words == sorted(words)
    assert "<unk>" in words


# Byte pairs


SENTENCES = ["The heart is enlarged. The lungs are clear.", "There is a right pleural effusion. Lungs are clear."] * 3


@pytest.fixture
def pairs() -> ReportTokenizer:
    return ReportTokenizer.build_byte_pairs(SENTENCES, size=300)


@pytest.mark.parametrize(
    "text", [SENTENCES[0], "Sarcoidosis and zygomycosis.", "A 3-cm nodule, x-ray of 2.5.", "naïve ø patient"]
)
def test_byte_pairs_encode_every_word(pairs: ReportTokenizer, text: str) -> None:
    ids = pairs.encode_report(text, 200)
    assert ids[0] == ids[-1] == pairs.eos_token_id == 0
    assert pairs.decode_words(ids) == clean_iu_xray(text).split()
    assert pairs.unk_token is None


def test_each_decoded_word_has_the_positions_of_its_ids(pairs: ReportTokenizer) -> None:
    ids = pairs.encode_report("Sarcoidosis is enlarged.", 200)
    words = pairs.generated_words(ids)
    assert [word.text for word in words] == ["sarcoidosis", "is", "enlarged", "."]
    assert words[0].last - words[0].first > 1, "a word outside of the train split takes several ids"
    assert [words[0].first, *(word.last for word in words)] == [1, *(word.first for word in words[1:]), len(ids) - 1]


def test_encoding_single_words_equals_encoding_the_report(pairs: ReportTokenizer) -> None:
    ids, owners = pairs.encode_words(["sarcoidosis", "is", "enlarged", "."])
    assert ids == pairs.encode_report("Sarcoidosis is enlarged.", 200)[1:-1]
    assert [owners.count(i) for i in range(4)] == [w.last - w.first for w in pairs.generated_words([0, *ids])]


def test_ids_that_start_inside_a_word_are_decoded_as_a_word(pairs: ReportTokenizer) -> None:
    ids = pairs.encode_report("Sarcoidosis.", 200)
    assert pairs.decode_words([0, *ids[2:]])[-1] == "."
    assert pairs.decode_words([0, 0, *ids[1:]]) == []


def test_byte_pairs_are_saved_with_the_weights(pairs: ReportTokenizer, tmp_path: Path) -> None:
    pairs.save_pretrained(tmp_path)
    loaded = ReportTokenizer.from_pretrained(tmp_path)
    assert loaded.has_byte_pairs and loaded.cleaner == "iu_xray"
    text = "Sarcoidosis of the heart."
    assert loaded.encode_report(text, 99) == pairs.encode_report(text, 99)
    assert loaded.decode_words(loaded.encode_report(text, 99)) == clean_iu_xray(text).split()


def test_byte_pairs_of_gpt2_use_its_end_of_text_as_boundary(tmp_path: Path) -> None:
    raw = Tokenizer(BPE())
    raw.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(vocab_size=320, special_tokens=["<|endoftext|>"], initial_alphabet=ByteLevel.alphabet())
    raw.train_from_iterator(SENTENCES, trainer)
    PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|endoftext|>").save_pretrained(tmp_path)
    tokenizer = ReportTokenizer.of_gpt2(tmp_path)
    assert tokenizer.eos_token_id == tokenizer.pad_token_id == raw.token_to_id("<|endoftext|>")
    assert tokenizer.decode_words(tokenizer.encode_report(SENTENCES[1], 99)) == clean_iu_xray(SENTENCES[1]).split()


def test_too_few_byte_pairs_are_refused() -> None:
    with pytest.raises(InputError, match="256"):
        ReportTokenizer.build_byte_pairs(SENTENCES, size=200)
