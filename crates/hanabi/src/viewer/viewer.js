// Steps through recorded games. Every state was computed by the rules engine when the page was
// written; here it is only shown. Text from players reaches the page as text, never as markup.
"use strict";
(() => {
  const games = JSON.parse(document.getElementById("games").textContent);
  const COLOURS = "RYGWB", RANKS = "12345", TABLE = -1;
  const now = { game: 0, step: 0, view: TABLE };
  const $ = (id) => document.getElementById(id);

  function make(tag, classes, text) {
    const node = document.createElement(tag);
    if (classes) node.className = classes;
    if (text !== undefined) node.textContent = text;
    return node;
  }
  const clear = (node) => node.replaceChildren();
  const game = () => games[now.game];
  const steps = () => game().steps;
  const step = () => steps()[now.step];
  const bits = (code) => parseInt(code, 32);

  // A card is two characters, then what hints left possible: colours and ranks as five bits each.
  function card(code) {
    return { face: code.slice(0, 2), colours: bits(code[2]), ranks: bits(code[3]) };
  }

  function pip(face, height) {
    const node = make("span", `pip ${face} ${height ? "" : "empty"}`, face + (height || ""));
    return node;
  }

  function count(words, n, of) {
    const node = make("span", "count", `${words} `);
    node.append(make("b", "", n));
    if (of !== undefined) node.append(` / ${of}`);
    return node;
  }

  function known(letters, mask) {
    const line = make("div", "known");
    const sure = (mask & (mask - 1)) === 0;
    [...letters].forEach((letter, place) => {
      const may = mask >> place & 1;
      line.append(make("span", may ? (sure ? "may sure" : "may") : "", letter));
    });
    return line;
  }

  function spoken(mask, letters) {
    return [...letters].filter((_, place) => mask >> place & 1).join(" ");
  }

  // What the intents said of each slot of the hand that was told.
  function meant(seat) {
    const { move } = step(), said = step().said, marks = {};
    if (!said || move.to !== seat) return marks;
    for (const [name, sees] of [["R", mayRead("rationale")], ["F", mayRead("reading")]]) {
      const one = said[name === "R" ? "rationale" : "reading"];
      if (sees && one && one.kind !== "info") {
        (marks[one.slot] ??= []).push(`${name}: ${one.kind}`);
      }
    }
    return marks;
  }

  function slot(seat, code, place) {
    const { face, colours, ranks } = card(code), { move } = step();
    const hidden = now.view === seat;
    const node = make("div", "slot");
    node.dataset.slot = place;
    if (move && move.to === seat && move.touched >> place & 1) node.classList.add("touched");
    const drew = move && move.by === seat && move.drew;
    if (drew && place === step().hands[seat].length - 1) node.classList.add("new");
    const shown = make("div", hidden ? "card back" : `card ${face[0]}`, hidden ? "?" : face);
    const may = `may be ${spoken(colours, COLOURS)}, ${spoken(ranks, RANKS)}`;
    shown.setAttribute("role", "img");
    shown.setAttribute("aria-label", `slot ${place}, ${hidden ? "hidden" : face}, ${may}`);
    node.append(shown, known(COLOURS, colours), known(RANKS, ranks));
    node.append(make("small", "", place === 0 ? "0 oldest" : place));
    for (const mark of meant(seat)[place] ?? []) node.append(make("small", "meant", mark));
    return node;
  }

  function hand(seat) {
    const over = step().end !== undefined, next = !over && step().next === seat;
    const node = make("div", `hand${next ? " next" : ""}`);
    node.dataset.seat = seat;
    const who = make("div", "who");
    who.append(make("span", "seat", `Seat ${seat}`), make("span", "name", game().players[seat]));
    const tags = [];
    if (next) tags.push("to move");
    if (now.view === seat) tags.push("own cards hidden");
    if (step().move && step().move.by === seat) tags.push("moved");
    if (step().move && step().move.to === seat) tags.push("was told");
    who.append(make("span", "tag", tags.join(" · ")));
    const cards = make("div", "cards");
    step().hands[seat].forEach((code, place) => cards.append(slot(seat, code, place)));
    node.append(who, cards);
    return node;
  }

  function discards(node) {
    clear(node);
    let n = 0;
    [...step().discards].forEach((copies, identity) => {
      for (let i = 0; i < Number(copies); i += 1, n += 1) {
        const face = COLOURS[Math.floor(identity / 5)] + RANKS[identity % 5];
        node.append(make("span", face[0], face));
      }
    });
    if (n === 0) node.append(make("i", "help", "none"));
  }

  // A seat knows what it said itself; the table knows everything.
  function mayRead(what) {
    const { move } = step();
    return now.view === TABLE || now.view === (what === "reading" ? move.to : move.by);
  }

  function statement(list, what, label) {
    const one = step().said[what];
    list.append(make("dt", "", label));
    const node = make("dd");
    node.dataset.said = what;
    if (!mayRead(what)) {
      node.append(make("span", "hiddenness", "not known to this seat"));
    } else if (!one) {
      node.append(make("span", "hiddenness", "no statement"));
    } else {
      const about = one.kind === "info" ? "info" : `${one.kind} slot ${one.slot}`;
      node.append(make("span", "intent", about));
      if (one.text) node.append(make("span", "", `“${one.text}”`));
    }
    list.append(node);
  }

  function scores(node) {
    const { said } = step();
    const rows = [];
    if (said.agree) rows.push(["exact agreement (0–1)", said.agree[0], said.agree[1]]);
    for (const judge of said.judged) rows.push([judge.judge, judge.first, judge.second]);
    if (rows.length === 0) return;
    const table = make("table");
    const head = make("tr");
    const titles = ["judge", "first order, F with R", "second order, S with F"];
    titles.forEach((text, i) => head.append(make("th", i ? "num" : "", text)));
    table.append(head);
    for (const [name, ...values] of rows) {
      const row = make("tr");
      row.append(make("td", "", name));
      values.forEach((value) => row.append(make("td", "num", value ?? "–")));
      table.append(row);
    }
    node.append(table);
    if (said.judged.length) {
      node.append(make("p", "help", "Judges score the first order from 0 to 10, the second from 0 to 5."));
    }
  }

  function statements(node) {
    clear(node);
    const { said, move } = step();
    node.hidden = !said;
    if (!said) return;
    node.append(make("h2", "", "What was meant, foreseen, and understood"));
    const list = make("dl", "said");
    statement(list, "rationale", `R, reason of seat ${move.by}`);
    statement(list, "prediction", `S, prediction of seat ${move.by}`);
    statement(list, "reading", `F, reading of seat ${move.to}`);
    node.append(list);
    if (now.view !== TABLE) return;
    if (said.ideal) statement(list, "ideal", "I, an ideal reading");
    if (said.blunder) node.append(make("p", "help", "The hinter moved at random here."));
    scores(node);
  }

  function log() {
    const list = $("log");
    clear(list);
    steps().forEach((one, place) => {
      const item = make("li", one.said ? "hint" : one.move && one.move.strike ? "strike" : "");
      const button = make("button", "", place === 0 ? "0 · the deal" : `${place} · ${words(one)}`);
      button.type = "button";
      button.dataset.step = place;
      button.addEventListener("click", () => go({ step: place }));
      item.append(button);
      list.append(item);
    });
  }

  // What everybody sees: a card that is played or discarded is named, one that is drawn is not.
  function words(one) {
    return `seat ${one.move.by} ${one.move.words}`;
  }

  function caption() {
    if (now.step === 0) return `The deal. Seat ${step().next} begins.`;
    const end = step().end ? ` The game is over: ${step().end}.` : "";
    const note = step().note ? ` (${step().note})` : "";
    const said = words(step());
    return `${said[0].toUpperCase()}${said.slice(1)}.${note}${end}`;
  }

  function draw() {
    const one = step();
    $("move").textContent = caption();
    const fireworks = $("fireworks");
    clear(fireworks);
    [...COLOURS].forEach((face, i) => fireworks.append(pip(face, one.fireworks[i])));
    const counts = $("counts");
    clear(counts);
    const points = one.fireworks.reduce((sum, height) => sum + height, 0);
    counts.append(count("points", points, 25), count("tokens", one.tokens, game().tokens_max));
    counts.append(count("lives", one.lives, game().lives_max), count("deck", one.deck));
    const hands = $("hands");
    clear(hands);
    game().players.forEach((_, seat) => hands.append(hand(seat)));
    discards($("discards"));
    statements($("statements"));
    for (const button of $("views").children) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.view) === now.view));
    }
    for (const button of $("log").querySelectorAll("button")) {
      const here = Number(button.dataset.step) === now.step;
      if (here) {
        button.setAttribute("aria-current", "step");
        const box = $("log").parentElement;
        const above = button.offsetTop - box.offsetTop;
        box.scrollTop = above - box.clientHeight / 2;
      } else {
        button.removeAttribute("aria-current");
      }
    }
    const last = steps().length - 1;
    $("slider").max = last;
    $("slider").value = now.step;
    $("place").textContent = `${now.step} / ${last}`;
    $("first").disabled = $("back").disabled = now.step === 0;
    $("last").disabled = $("on").disabled = now.step === last;
  }

  function chooseGame() {
    const views = $("views");
    clear(views);
    [TABLE, ...game().players.keys()].forEach((view) => {
      const button = make("button", "", view === TABLE ? "whole table" : `seen by seat ${view}`);
      if (view !== TABLE) button.title = game().players[view];
      button.type = "button";
      button.dataset.view = view;
      button.addEventListener("click", () => go({ view }));
      views.append(button);
    });
    $("game").value = now.game;
    $("source").textContent = game().source;
    log();
  }

  const within = (value, low, high) => Math.min(Math.max(value, low), high);

  function go(change) {
    const other = change.game !== undefined && change.game !== now.game;
    Object.assign(now, change);
    now.game = within(now.game, 0, games.length - 1);
    now.step = within(now.step, 0, steps().length - 1);
    now.view = within(now.view, TABLE, game().players.length - 1);
    if (other) chooseGame();
    draw();
    const view = now.view === TABLE ? "table" : now.view;
    history.replaceState(null, "", `#game=${now.game}&step=${now.step}&view=${view}`);
  }

  function hintFrom(direction) {
    for (let at = now.step + direction; steps()[at]; at += direction) {
      if (steps()[at].said) return go({ step: at });
    }
  }

  const KEYS = {
    ArrowRight: () => go({ step: now.step + 1 }),
    ArrowLeft: () => go({ step: now.step - 1 }),
    Home: () => go({ step: 0 }),
    End: () => go({ step: steps().length - 1 }),
    ArrowDown: () => hintFrom(1),
    ArrowUp: () => hintFrom(-1),
    PageDown: () => go({ game: now.game + 1, step: 0 }),
    PageUp: () => go({ game: now.game - 1, step: 0 }),
    t: () => go({ view: TABLE }),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.tagName === "SELECT") return;
    const act = /^[0-4]$/.test(event.key) ? () => go({ view: Number(event.key) }) : KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  $("first").addEventListener("click", KEYS.Home);
  $("back").addEventListener("click", KEYS.ArrowLeft);
  $("on").addEventListener("click", KEYS.ArrowRight);
  $("last").addEventListener("click", KEYS.End);
  $("slider").addEventListener("input", (event) => go({ step: Number(event.target.value) }));
  $("game").addEventListener("change", (event) => go({ game: Number(event.target.value), step: 0 }));
  games.forEach((one, place) => {
    const option = make("option", "", one.title);
    option.value = place;
    $("game").append(option);
  });

  function fromAddress() {
    const wanted = new URLSearchParams(location.hash.slice(1));
    const number = (key) => Number.parseInt(wanted.get(key), 10) || 0;
    const view = /^\d+$/.test(wanted.get("view") ?? "") ? number("view") : TABLE;
    now.game = within(number("game"), 0, games.length - 1);
    chooseGame();
    go({ step: number("step"), view });
  }
  window.addEventListener("hashchange", fromAddress);
  fromAddress();
})();
