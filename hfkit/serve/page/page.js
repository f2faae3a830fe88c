// The page: which model, what is asked, the answer. Nothing is stored, and nobody else is asked.
import { element, show } from "/page/answers.js";
import { curl, snippet } from "/page/snippets.js";

const at = (id) => document.getElementById(id);
const EXAMPLES = {
  text: "The parcel came late, but the people at the desk were kind.",
  text_pair: "Delivery was slow and the service friendly.",
  question: "Where is the key?",
  context: "Anna said the key is under the mat. Ben looked on the shelf first.",
  candidates: "delivery, service, price",
};
const BY_TASK = {
  ner: { text: "Anna Roth left Bern for Oslo in May." },
  mlm: { text: "The river [MASK] by two metres." },
  generation: { text: "The river" },
  similarity: { text: "A man plays a flute.", text_pair: "Someone makes music." },
  nsp: { text: "It began to rain.", text_pair: "We took the bus home." },
};
const NAMES = {
  text: ["Text", ""], text_pair: ["Second text", ""], question: ["Question", ""],
  context: ["Context", "the text that holds the answer"],
  candidates: ["Labels", "separated by commas"],
};
const LEFT_OUT = ["tokens", "messages", "prompt"]; // other forms of the same
const WITH_SCORES = ["classification", "zero-shot", "nsp"];

let info, model, language = "curl";

function fieldsOf(model) {
  const roles = Object.entries(model.roles).filter(([role]) => !LEFT_OUT.includes(role));
  return roles.filter(([role, needed]) => needed || role === "text" || role === "candidates");
}

function choose(name) {
  model = info.models.find((one) => one.model_id === name) ?? info.models[0];
  const kind = [model.task, model.problem ?? model.purpose].filter(Boolean).join(", ");
  const alone = info.models.length === 1;
  at("about").replaceChildren(...(alone ? [element("b", {}, model.model_id), " · "] : []), kind);
  document.title = `${model.model_id} · hfkit serve`;
  at("fields").replaceChildren(...fieldsOf(model).map(([role, needed]) => field(role, needed)));
  clear();
  tell();
}

function clear() {
  at("answer").replaceChildren(element("p", { className: "empty" }, "The answer appears here."));
  at("answer").classList.remove("old");
  at("time").textContent = "";
}

// An answer is of what was asked: it is dimmed beside another text, and goes when a field is empty.
function changed() {
  const areas = [...at("fields").querySelectorAll("textarea")];
  if (areas.some((area) => area.required && !area.value)) clear();
  else if (at("time").textContent) {
    at("answer").classList.add("old");
    at("time").textContent = "of the text before";
  }
  tell();
}

function field(role, needed) {
  const [name, hint] = NAMES[role] ?? [role, ""];
  const title = element("span", {}, `${name} `);
  const more = needed || role === "text" ? hint : `${hint}; or those the server was started with`;
  if (more) title.append(element("small", {}, more));
  const isShort = ["question", "candidates"].includes(role);
  const area = element("textarea", { name: role, id: `field-${role}`, className: isShort ? "short" : "" });
  const example = BY_TASK[model.task]?.[role] ?? EXAMPLES[role] ?? "";
  area.value = role === "candidates" && model.labels.length ? model.labels.join(", ") : example;
  if (needed || role === "text") area.required = true;
  area.addEventListener("input", changed);
  return element("label", { className: "field" }, title, area);
}

function row() {
  const found = {};
  for (const area of at("fields").querySelectorAll("textarea")) {
    if (area.name !== "candidates") found[area.name] = area.value;
    else if (area.value.trim()) {
      found.candidates = area.value.split(",").map((name) => name.trim()).filter(Boolean);
    }
  }
  return found;
}

const path = () => (info.models.length > 1 ? `/models/${model.model_id}` : "");
const body = () =>
  WITH_SCORES.includes(model.task) ? { rows: [row()], scores: true } : { rows: [row()] };

function tell() {
  const { origin } = location;
  at("code").textContent =
    language === "curl"
      ? curl(`${origin}${path()}/answer`, body(), info.token_needed)
      : snippet(model, body(), origin, path(), info.token_needed);
}

async function ask(event) {
  event.preventDefault();
  const asked = row();
  at("ask").disabled = true;
  at("time").textContent = "…";
  const begun = performance.now();
  let parts;
  try {
    const headers = { "Content-Type": "application/json" };
    const request = { method: "POST", headers, body: JSON.stringify(body()) };
    const response = await fetch(`${path()}/answer`, request);
    const content = await response.json();
    if (!response.ok) throw new Error(content.error ?? `status ${response.status}`);
    parts = show(content[0], asked, model.scale);
  } catch (error) {
    parts = [element("p", { className: "failed" }, error.message)];
  }
  at("time").textContent = `${Math.max(1, Math.round(performance.now() - begun))} ms`;
  at("answer").replaceChildren(...parts);
  at("answer").classList.remove("old");
  if (JSON.stringify(row()) !== JSON.stringify(asked)) changed();
  at("ask").disabled = false;
}

function speak(chosen) {
  language = chosen;
  for (const name of ["curl", "python"]) {
    const tab = at(`tab-${name}`);
    tab.setAttribute("aria-selected", String(name === chosen));
    tab.tabIndex = name === chosen ? 0 : -1;
  }
  at("code").setAttribute("aria-labelledby", `tab-${chosen}`);
  tell();
}

async function copy() {
  try {
    await navigator.clipboard.writeText(at("code").textContent);
    at("copy").textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(at("code"));
    at("copy").textContent = "Selected";
  }
  setTimeout(() => (at("copy").textContent = "Copy"), 1500);
}

async function start() {
  const response = await fetch("/info");
  info = await response.json();
  const options = info.models.map((one) => element("option", { value: one.model_id }, one.model_id));
  at("model").replaceChildren(...options);
  at("picker").hidden = info.models.length < 2;
  at("model").addEventListener("change", () => choose(at("model").value));
  at("form").addEventListener("submit", ask);
  at("form").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("form").requestSubmit();
  });
  for (const name of ["curl", "python"]) {
    at(`tab-${name}`).addEventListener("click", () => speak(name));
    at(`tab-${name}`).addEventListener("keydown", (event) => {
      if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
      speak(language === "curl" ? "python" : "curl");
      at(`tab-${language}`).focus();
    });
  }
  at("copy").addEventListener("click", copy);
  choose(info.models[0].model_id);
  document.body.dataset.ready = "yes";
}

start();
