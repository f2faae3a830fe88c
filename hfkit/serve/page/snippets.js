// The request of the page as lines that work when pasted into a shell or into Python.

const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export function curl(url, body, needsToken) {
  const lines = [`curl ${shell(url)}`, "-H 'Content-Type: application/json'"];
  if (needsToken) lines.push('-H "Authorization: Bearer $HFKIT_SERVE_TOKEN"');
  return [...lines, `-d ${shell(JSON.stringify(body))}`].join(" \\\n  ");
}

// JSON's texts, lists and numbers are Python's too; its true is not.
const python = (value) => JSON.stringify(value);
const pythonBody = ({ rows, scores }) =>
  `{"rows": ${python(rows)}${scores ? ', "scores": True' : ""}}`;

const CALLS = {
  classification: (row) => !("text_pair" in row) && `text_classification(${python(row.text)})`,
  ner: (row) => `token_classification(${python(row.text)})`,
  qa: (row) => `question_answering(question=${python(row.question)}, context=${python(row.context)})`,
  similarity: (row) =>
    `sentence_similarity(${python(row.text)}, other_sentences=[${python(row.text_pair)}])`,
  "zero-shot": (row) =>
    `zero_shot_classification(${python(row.text)}, candidate_labels=${python(row.candidates)})`,
  mlm: (row) => `fill_mask(${python(row.text)})`,
  generation: (row, model) => !model.chat && `text_generation(${python(row.text)})`,
  text2text: (row, model) =>
    `${model.purpose === "translation" ? "translation" : "summarization"}(${python(row.text)})`,
};

export function snippet(model, body, root, path, needsToken) {
  const [row] = body.rows;
  // The shape of Hugging Face has no place for answers that are withheld.
  const call = !model.withholds && CALLS[model.task]?.(row, model);
  if (!call) return plain(`${root}${path}/answer`, body, needsToken);
  const token = needsToken ? ', token=os.environ["HFKIT_SERVE_TOKEN"]' : "";
  const head = needsToken ? "import os\n\n" : "";
  return (
    `${head}from huggingface_hub import InferenceClient\n\n` +
    `client = InferenceClient(${python(root + path)}${token})\n` +
    `print(client.${call})\n`
  );
}

function plain(url, body, needsToken) {
  const token = needsToken ? ', "Authorization": f"Bearer {os.environ[\'HFKIT_SERVE_TOKEN\']}"' : "";
  return (
    `import json\n${needsToken ? "import os\n" : ""}from urllib.request import Request, urlopen\n\n` +
    `body = json.dumps(${pythonBody(body)}).encode()\n` +
    `headers = {"Content-Type": "application/json"${token}}\n` +
    `print(json.load(urlopen(Request(${python(url)}, body, headers))))\n`
  );
}
