"""What the help of each verb says; the commands' own examples come first in it."""

EXAMPLES = """Fine-tune, evaluate and predict with Hugging Face models.

\b
  hfkit demo                                   see it work, offline, in a minute
  hfkit check reviews.csv                      what is wrong with the data
  hfkit finetune reviews.csv -m MODEL -o out   task and columns are guessed, and said
  hfkit finetune -c recipe.yaml --lr 3e-5      a recipe, with one setting changed
  hfkit evaluate out test.csv                  scores with intervals
  hfkit compare old new test.csv               what differs by more than chance
  hfkit predict out "I loved it"               one text
  hfkit predict out < texts.txt > answers.jsonl
  hfkit serve out                              a page to try it, and HTTP
  hfkit predict minilm "Two goals in injury time" -t zero-shot --labels sports,politics
  hfkit search minilm corpus.jsonl "how do I get my money back?"
"""

# What other programs call it -> what it is here.
OTHER_WORDS = {
    "classify": "predict",
    "encode": "embed",
    "fine-tune": "finetune",
    "fit": "finetune",
    "generate": "predict",
    "help": "--help",
    "infer": "predict",
    "inference": "predict",
    "label": "predict",
    "pretrain": "finetune -t mlm",
    "run": "predict",
    "test": "evaluate",
    "train": "finetune",
    "version": "--version",
}

FINETUNE = """Fine-tune a model on TRAIN and score it.

TRAIN is a file, a glob, - for stdin, a Hub data set, or a recipe (*.yaml). The same command again
continues an interrupted run. Prints the run's folder.

\b
  hfkit finetune reviews.csv -m distilbert-base-uncased -o out
  hfkit finetune train.tsv --validation dev.tsv --test test.tsv --class-weights balanced
  hfkit finetune -c classification-en-sst2 --epochs 1
  hfkit finetune reviews.csv -o out --seeds 5 --baselines
"""

EVALUATE = """Score MODEL on the labelled rows of DATA.

MODEL is a run's folder, a model with a trained head, or a file of predictions. Prints a table on a
terminal, JSON elsewhere.

\b
  hfkit evaluate out test.csv
  hfkit evaluate out test.csv --fail-under accuracy=0.9 -o scores.json
  hfkit evaluate new test.csv --no-worse-than old --margin 0.01
"""

PREDICT = """Answer texts or the rows of files with MODEL.

Each row of INPUTS comes out again with its answer, in order; CSV in gives CSV out, otherwise JSON
Lines.

\b
  hfkit predict out "I loved it"
  hfkit predict out reviews.csv --column body -o answers.csv
  cat texts.txt | hfkit predict out --scores > answers.jsonl
"""

EMBED = """Turn texts into vectors with MODEL.

INPUTS are texts, a file, or - for stdin. Writes .npy (float32, a row per text), .parquet or .jsonl
(the fields of the input and the vector), in the order of the input.

\b
  hfkit embed minilm texts.txt -o vectors.npy
  hfkit embed minilm corpus.jsonl -o corpus.parquet
  hfkit embed out "a text" "another one"
"""

SEARCH = """Find the texts of CORPUS most like each of the QUERIES.

MODEL is a run of similarity or any encoder; the search is exact. CORPUS is a file of texts, or one
that `hfkit embed` wrote. Each query comes out again with its hits; with --qrels they are scored.

\b
  hfkit search minilm corpus.jsonl queries.jsonl -k 10 -o hits.jsonl
  hfkit search minilm vectors.npy "where is my parcel?"
  hfkit search out corpus.jsonl queries.jsonl --qrels qrels.tsv -o hits.jsonl
"""

SCORE = """Say how probable texts are under MODEL.

A model that reads from left to right gives the log-probability of each text, a masked one its
pseudo-log-likelihood, an encoder-decoder that of a target given its source. Each row of INPUTS
comes out again with it, in order.

\b
  hfkit score gpt2 texts.txt -o scores.jsonl
  hfkit score out "The river rose by two metres."
  hfkit score t5-small pairs.csv --column source --target-column target
"""

CONVERT = """Write INPUT in another format.

Between CoNLL files, the files of doccano, Prodigy, Label Studio, spaCy and CLUENER, SQuAD, and
tables (CSV, TSV, JSON Lines, JSON, Parquet). What the output has no place for is counted.

\b
  hfkit convert people.conll -o people.jsonl
  hfkit convert annotated.jsonl -o train.conll --scheme bioes
  hfkit convert people.conll --to label-studio -o tasks.json
  hfkit convert squad.json -o questions.csv
"""

BENCH = """Measure how fast MODEL answers on this machine.

Rows and tokens a second by size of the batches, time for one text, cold start and memory, with each
engine that MODEL can be opened with. DATA is a file of rows; without one texts are made up. Prints
a table, or JSON with --json.

\b
  hfkit bench out
  hfkit bench out reviews.csv --column body --rows 1000
  hfkit bench minilm --lengths short --threads 1 --json
"""

VERIFY = """Compare FOLDER with the hashes it was sealed with.

FOLDER is a run, an exported model or a checkpoint; what is sealed inside it is compared too. Every
file that is missing, or has other bytes, is a line on stdout, and the exit code is then 2. Files
that were added later are noted.

\b
  hfkit verify out
  hfkit verify out --json
"""

TOKENIZER = """Train a tokenizer on FILES, which may be larger than memory.

A text a line, or a column of texts. The folder loads with AutoTokenizer; `hfkit finetune
--tokenizer` trains a model from scratch with it. Prints the folder.

\b
  hfkit tokenizer train corpus.txt -o tokenizer --vocab-size 8000 --lowercase
  hfkit tokenizer train "corpus/*.txt" -o tokenizer --kind bpe --family roberta
"""

EXPORT = """Write MODEL once more, for answers without torch.

For onnxruntime or OpenVINO, into MODEL, the folder of a run or of a model. What is written is
compared with torch on DATA, else on the run's validation file, else on made-up rows; predict,
evaluate and embed take it by themselves where the two agree to 1e-4. Prints the folder. Needs: pip
install 'hfkit[onnx]', or 'hfkit[openvino]'

\b
  hfkit export out
  hfkit export out --engine openvino
  hfkit export out test.csv --overwrite --json
"""
