// From an answer of the server to what is shown. Texts go in as text, never as markup.

export function element(name, options = {}, ...children) {
  const { className, ...rest } = options;
  const made = document.createElement(name);
  if (className) made.className = className;
  for (const [key, value] of Object.entries(rest)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const percent = (score) => `${(100 * score).toFixed(1)} %`;
const UNSURE = "not sure enough";
const short = (number) => Number(number.toPrecision(4)).toString();

export function show(answer, row, scale) {
  const parts = [];
  if ("entities" in answer) parts.push(...entities(answer.entities, answer.withheld ?? [], row));
  else if ("masks" in answer) parts.push(...masks(answer));
  else if ("answer" in answer) parts.push(...found(answer, row));
  else if ("labels" in answer) parts.push(...labels(answer));
  else if ("label" in answer) parts.push(...label(answer));
  else if ("value" in answer) parts.push(best(short(answer.value)));
  else if ("text" in answer) parts.push(written(answer.text));
  else if ("score" in answer) parts.push(...alike(answer, scale));
  else parts.push(element("pre", {}, JSON.stringify(answer, null, 2)));
  if (answer.truncated) {
    parts.push(element("p", { className: "empty" }, "The text was too long and was cut."));
  }
  return parts;
}

function best(text, beside = "", before = "") {
  const line = element("p", { className: "best" });
  if (before) line.append(element("small", {}, `${before}:`), " ");
  line.append(text);
  if (beside) line.append(" ", element("small", {}, beside));
  return line;
}

function bars(scores, chosen, told = percent) {
  const list = element("ol", { className: "bars" });
  const pairs = Array.isArray(scores) ? scores : Object.entries(scores);
  const sorted = [...pairs].sort((one, other) => other[1] - one[1]);
  for (const [name, score] of sorted.slice(0, 50)) {
    const bar = element("div", { className: "bar" }, element("div"));
    bar.firstChild.style.width = `${Math.max(0, Math.min(1, score)) * 100}%`;
    const number = element("span", { className: "number" }, told(score));
    const line = element("div", { className: "name" }, element("span", {}, name), number);
    list.append(element("li", chosen.includes(name) ? { className: "chosen" } : {}, line, bar));
  }
  return list;
}

function label(answer) {
  const name = answer.abstained ? answer.withheld : answer.label;
  const scores = answer.scores ?? { [name]: answer.score };
  const title = best(name, percent(answer.score), answer.abstained ? UNSURE : "");
  return [title, bars(scores, answer.abstained ? [] : [name])];
}

function labels(answer) {
  const title = answer.labels.length ? answer.labels.join(", ") : "no label";
  const unsure = answer.abstained ? [best(answer.withheld.join(", "), "", UNSURE)] : [];
  const given = unsure.length && !answer.labels.length ? [] : [best(title)];
  return [...given, ...unsure, bars(answer.scores, answer.labels)];
}

function alike(answer, scale) {
  const { score } = answer;
  const parts = [best(short(score), scale ? `on a scale of ${scale[0]} to ${scale[1]}` : "how alike they are")];
  const [low, high] = scale ?? [0, 1];
  if (scale) parts.push(bars({ score: (score - low) / (high - low) }, ["score"], () => short(score)));
  else if (score >= low && score <= high) parts.push(bars({ score }, ["score"]));
  if ("same" in answer) {
    const text = answer.same ? "They belong together." : "They do not belong together.";
    parts.push(element("p", { className: "group" }, text));
  }
  return parts;
}

// Offsets of the server count characters; JavaScript counts UTF-16 units.
const characters = (text) => Array.from(text);

function entities(spans, withheld, row) {
  const whole = characters(row.text ?? row.tokens.join(" "));
  const passage = element("p", { className: "passage" });
  const names = [...new Set(spans.map((span) => span.label))].sort();
  let last = 0;
  for (const span of [...spans].sort((one, other) => one.start - other.start)) {
    if (span.start < last) continue;
    passage.append(whole.slice(last, span.start).join(""));
    const hue = `hue-${names.indexOf(span.label) % 6}`;
    const name = element("small", {}, span.label);
    const text = whole.slice(span.start, span.end).join("");
    passage.append(element("mark", { className: hue, title: percent(span.score) }, text, name));
    last = span.end;
  }
  passage.append(whole.slice(last).join(""));
  const count = spans.length === 1 ? "1 name" : `${spans.length} names`;
  const unsure = withheld.map((span) => [`${span.text} · ${span.label}`, span.score]);
  if (!unsure.length) return [best(count), passage];
  const title = element("p", { className: "group" }, `${UNSURE}, and withheld`);
  return [best(count), passage, title, bars(unsure, [])];
}

function found(answer, row) {
  if (answer.start === null) {
    const name = answer.withheld || "no answer"; // that there is none may itself be withheld
    const title = best(name, percent(answer.score), answer.abstained ? UNSURE : "");
    return [title, context(row.context)];
  }
  const whole = characters(row.context);
  const passage = context(whole.slice(0, answer.start).join(""));
  const text = whole.slice(answer.start, answer.end).join("");
  passage.append(element("mark", { className: "found" }, text), whole.slice(answer.end).join(""));
  return [best(answer.answer, percent(answer.score)), passage];
}

const context = (text) => element("p", { className: "passage plain" }, text);

function masks(answer) {
  const parts = [element("p", { className: "passage plain" }, answer.filled)];
  answer.masks.forEach((several, number) => {
    const title = answer.masks.length > 1 ? `mask ${number + 1}` : "words for the mask";
    const scores = Object.fromEntries(several.map((one) => [one.token, one.score]));
    parts.push(element("p", { className: "group" }, title), bars(scores, [several[0].token]));
  });
  return parts;
}

function written(text) {
  if (!text) return element("p", { className: "empty" }, "The model wrote nothing.");
  return element("p", { className: "passage plain written" }, text);
}
