// The studio beside Gradio: files go in by a route of our own, and keys decide in a review.
import * as charts from "./charts.js";
import * as drafts from "./drafts.js";
import * as focus from "./focus.js";
import * as names from "./names.js";
import * as trouble from "./trouble.js";
import { language, load } from "./words.js";

const TEXTS = {
  en: {
    file: "File", format: "Format", found_out: "found out", columns: "Columns (role=name,…)",
    prompt: "What was asked, where rows do not say", send: "Send and look", again: "Look again",
    keep: "Import", sending: "Sending …", reading: "Reading …", importing: "Importing …",
    refused: "refused", none: "none refused", line: "line", becomes: "becomes", asks: "prompt",
    answers: "answers", why: "why", more: "and {n} more", choose: "Choose a file first.",
    kept: "Imported: {new} new, {known} already there, {refused} refused.",
    guess: "The columns above are a guess: mend it where it is wrong, then look again.",
    lost: "The page could not be reached. Try again.", first: "The first rows", wrong: "Refused rows",
  },
  zh: {
    file: "文件", format: "格式", found_out: "自动识别", columns: "列(角色=列名,…)",
    prompt: "行中没有问题时,问的是什么", send: "上传并预览", again: "重新预览",
    keep: "导入", sending: "正在上传 …", reading: "正在读取 …", importing: "正在导入 …",
    refused: "被拒绝", none: "没有被拒绝的行", line: "行", becomes: "变为", asks: "提示",
    answers: "回答", why: "原因", more: "还有 {n} 行", choose: "请先选择文件。",
    kept: "已导入:新增 {new} 行,已有 {known} 行,拒绝 {refused} 行。",
    guess: "上面的列名是猜测:有误请改正,然后重新预览。",
    lost: "无法连接页面,请重试。", first: "前几行", wrong: "被拒绝的行",
  },
};
const FORMATS = ["messages", "prompt-completion", "alpaca", "sharegpt", "preference", "ranking", "kto-tag",
  "unpaired", "pairwise", "judged-answer", "hh-rlhf"];
const t = (key, values = {}) =>
  TEXTS[language][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

async function post(address, body, type) {
  const headers = { "X-Tuner": "1", "Content-Type": type };
  let answer;
  try {
    answer = await fetch(address, { method: "POST", headers, body, redirect: "error" });
  } catch {
    return { error: t("lost"), do: "" };
  }
  return answer.json().catch(() => ({ error: t("lost"), do: "" }));
}

function table(caption, head, rows) {
  const made = make("table", {}, make("caption", { textContent: caption }));
  const line = (cells, tag) =>
    make("tr", {}, ...cells.map((cell) => make(tag, { textContent: String(cell) })));
  made.append(make("thead", {}, line(head, "th")));
  made.append(make("tbody", {}, ...rows.map((row) => line(row, "td"))));
  return make("div", { className: "t-table" }, made);
}

function importForm() {
  const file = make("input", { type: "file", id: "import-file" });
  const format = make("select", { id: "import-format" }, new Option(t("found_out"), ""),
    ...FORMATS.map((name) => new Option(name, name)));
  const columns = make("input", { id: "import-columns", placeholder: "prompt=question,completion=answer" });
  const prompt = make("input", { id: "import-prompt" });
  const look = make("button", { type: "button", id: "import-look", textContent: t("send") });
  const keep = make("button", { type: "button", id: "import-keep", textContent: t("keep"), disabled: true });
  const told = make("p", { className: "t-said", id: "import-told" });
  told.setAttribute("role", "status");
  const rows = make("div", { id: "import-rows" });
  let upload = "";

  const labelled = (key, control) => make("label", {}, t(key), control);
  const how = (kept) => JSON.stringify({
    format: format.value, columns: columns.value, prompt: prompt.value, keep: kept,
  });
  const say = (text, kind = "") => {
    told.textContent = text;
    told.className = `t-said ${kind}`;
  };
  const busy = (yes) => {
    look.disabled = yes;
    keep.disabled = true;
  };

  function show(found) {
    rows.replaceChildren();
    if (found.error) {
      if (found.columns && !columns.value) {
        columns.value = found.columns;
        say(`${found.error} ${t("guess")}`, "wrong");
      } else {
        say([found.error, found.kept, found.do].filter((part) => typeof part === "string").join(" "), "wrong");
      }
      return;
    }
    const refused = found.refused_count ? `${found.refused_count} ${t("refused")}` : t("none");
    const notes = found.notes.length ? `\n${found.notes.join("\n")}` : "";
    say(`${found.format} (${found.container}): ${found.kinds.join(", ") || 0}, ${refused}${notes}`);
    if (found.refused_count) {
      const more = found.refused_count - found.refused.length;
      const list = found.refused.map((row) => [row.line, row.reason]);
      if (more > 0) list.push(["", t("more", { n: more })]);
      rows.append(table(t("wrong"), [t("line"), t("why")], list));
    }
    if (found.rows.length) {
      rows.append(table(t("first"), [t("line"), t("becomes"), t("asks"), t("answers")],
        found.rows.map((row) => [row.line, row.kind, row.prompt, row.replies.join(" ┃ ")])));
    }
    keep.disabled = !found.count;
  }

  const another = () => {
    upload = "";
    look.textContent = t("send");
    keep.disabled = true;
    rows.replaceChildren();
    say("");
  };
  file.addEventListener("change", another);
  for (const control of [format, columns, prompt]) {
    control.addEventListener("input", () => { keep.disabled = true; });
  }
  look.addEventListener("click", async () => {
    if (!file.files.length) return say(t("choose"), "wrong");
    busy(true);
    if (!upload) {
      say(t("sending"));
      const [chosen] = file.files;
      const address = `/api/import?name=${encodeURIComponent(chosen.name)}`;
      const sent = await post(address, chosen, "application/octet-stream");
      if (sent.error) {
        busy(false);
        return show(sent);
      }
      upload = sent.upload;
      look.textContent = t("again");
    }
    say(t("reading"));
    const found = await post(`/api/import/${upload}`, how(false), "application/json");
    busy(false);
    show(found);
  });
  keep.addEventListener("click", async () => {
    busy(true);
    say(t("importing"));
    const found = await post(`/api/import/${upload}`, how(true), "application/json");
    busy(false);
    if (found.error) return show(found);
    file.value = "";
    another();
    document.getElementById("data-imported").click(); // what there is to learn from is more now
    say(t("kept", { new: found.new, known: found.known, refused: found.refused_count }), "good");
  });
  return make("div", { className: "t t-form", id: "import-form" },
    labelled("file", file), labelled("format", format), labelled("columns", columns),
    labelled("prompt", prompt), make("div", {}, look, " ", keep), told, rows);
}

// Gradio makes the accordion's inside when it is opened, and anew when it likes.
new MutationObserver(() => {
  const here = document.getElementById("import-here");
  if (here && !document.getElementById("import-form")) here.after(importForm());
}).observe(document.documentElement, { childList: true, subtree: true });

// As where people label: 1 2 f j choose, 0 a tie, b both bad, a good, x bad, u undo, n the next.
const KEYS = {
  1: "review-0", f: "review-0", 2: "review-1", j: "review-1", 0: "review-2", b: "review-3", a: "review-4",
  x: "review-5", u: "review-undo", n: "review-next",
};
// The same keys for two answers in the chat.
const PAIR = { 1: "choose-first", f: "choose-first", 2: "choose-second", j: "choose-second", 0: "tie", b: "both-bad",
  " ": "skip", u: "undo" };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  if (event.key === " " && event.target.closest("button, a, summary")) return;  // presses what has the focus
  const press = [KEYS, PAIR].map((keys) => document.getElementById(keys[event.key]))
    .find((one) => one && one.offsetParent !== null && !one.disabled);
  if (press) {
    event.preventDefault();
    press.click();
  }
});

charts.start();
focus.start();
drafts.start();
await load();
trouble.start();
names.start();
