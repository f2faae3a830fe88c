// Opens one page in headless Chromium, does what it is told, and says what it saw.
//
// In (stdin, JSON): {url, width, height, dark, headers, screenshot, steps: [...]} where a step is
//   {fill: selector, text}  {click: selector}  {select: selector, value}  {press: selector, key}
//   {wait: selector, text?}  (text: until the element holds it)
//   {read: selector}  (its text, appended to "read")   {count: selector}  (how many, to "read")
//   {evaluate: expression}  (its value, to "read")
// Out (stdout, JSON): {errors: [...], requests: [...], read: [...], overflow: pixels}
// "errors" are console errors and warnings, uncaught exceptions and failed requests; "requests" are
// all addresses asked for but the page's own; "overflow" is how much wider the page is than its window.
import { chromium } from "playwright-core";
import { readFileSync } from "node:fs";

const order = JSON.parse(readFileSync(0, "utf-8"));
const browser = await chromium.launch({
  executablePath: process.env.HFKIT_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage"],
});
try {
  const page = await browser.newPage({
    viewport: { width: order.width ?? 1280, height: order.height ?? 900 },
    colorScheme: order.dark ? "dark" : "light",
    extraHTTPHeaders: order.headers ?? {},
  });
  const errors = [];
  const requests = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("requestfailed", (request) => errors.push(`failed: ${request.url()}`));
  page.on("request", (request) => {
    if (request.url() !== order.url) requests.push(request.url());
  });
  await page.goto(order.url, { waitUntil: "load" });
  const read = [];
  for (const step of order.steps ?? []) {
    const at = (selector) => page.locator(selector).first();
    if ("fill" in step) await at(step.fill).fill(step.text);
    else if ("click" in step) await at(step.click).click();
    else if ("select" in step) await at(step.select).selectOption(step.value);
    else if ("press" in step) await at(step.press).press(step.key);
    else if ("wait" in step && "text" in step)
      await page.locator(step.wait).filter({ hasText: step.text }).first().waitFor();
    else if ("wait" in step) await at(step.wait).waitFor();
    else if ("read" in step) read.push(await at(step.read).innerText());
    else if ("count" in step) read.push(await page.locator(step.count).count());
    else if ("evaluate" in step) read.push(await page.evaluate(step.evaluate));
    else throw new Error(`no such step: ${JSON.stringify(step)}`);
  }
  const overflow = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  if (order.screenshot) await page.screenshot({ path: order.screenshot, fullPage: true });
  process.stdout.write(JSON.stringify({ errors, requests, read, overflow }));
} finally {
  await browser.close();
}
