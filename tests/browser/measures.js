// What the tests measure in a page: a function, whose call (what, selector) gives a list of faults in words.
(() => {
  // In SVG documents too.
  const create = (tag) => document.createElementNS("http://www.w3.org/1999/xhtml", tag);
  const canvas = create("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true });

  // A CSS colour as [red, green, blue, alpha], the first three up to 255; a pattern counts as a middle grey.
  function color(css) {
    const known = /^rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)$/.exec(css);
    if (known) return [+known[1], +known[2], +known[3], known[4] === undefined ? 1 : +known[4]];
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = "#808080";
    context.fillStyle = css;
    context.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  }

  const over = (front, back) => [0, 1, 2].map((i) => front[i] * front[3] + back[i] * (1 - front[3])).concat(1);
  const faded = ([red, green, blue, alpha], opacity) => [red, green, blue, alpha * opacity];

  // WCAG 2: relative luminance, and the contrast ratio of two opaque colours.
  function luminance(rgb) {
    const [red, green, blue] = rgb.slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }
  function contrast(a, b) {
    const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (light + 0.05) / (dark + 0.05);
  }

  function parents(element) {
    const found = [];
    for (let each = element; each; each = each.parentElement) found.push(each);
    return found;
  }

  // The shapes of a drawing that come before `element` and have a point of the page inside.
  function shapesBelow(element, drawing, x, y) {
    return [...drawing.querySelectorAll("rect, circle, ellipse, path, polygon")].filter((shape) => {
      const earlier = shape.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING;
      if (!earlier || shape.closest("defs, clipPath, mask, symbol") || !shape.checkVisibility()) return false;
      const matrix = shape.getScreenCTM();
      return matrix && shape.isPointInFill(new DOMPoint(x, y).matrixTransform(matrix.inverse()));
    });
  }

  // What stands behind a text, from the page's ground up; `opacity` is its own with that of all around it.
  function behind(element, box) {
    // Under a page without a background is the browser's own, whose colour depends on the page's colour scheme.
    const probe = document.documentElement.appendChild(create("div"));
    probe.style.backgroundColor = "Canvas";
    let ground = color(getComputedStyle(probe).backgroundColor);
    probe.remove();
    const drawing = parents(element).findLast((each) => each instanceof SVGSVGElement);
    let opacity = 1;
    const layers = [];
    for (const each of parents(element).reverse()) {
      const style = getComputedStyle(each);
      opacity *= +style.opacity;
      const isDrawn = each instanceof SVGElement && !(each instanceof SVGSVGElement);
      if (!isDrawn) layers.push(faded(color(style.backgroundColor), opacity));
      if (style.backgroundImage.includes("gradient")) layers.push([128, 128, 128, opacity]);
      if (box && each === drawing) {
        for (const shape of shapesBelow(element, drawing, box.x + box.width / 2, box.y + box.height / 2)) {
          const drawn = getComputedStyle(shape);
          if (drawn.fill === "none") continue;
          layers.push(faded(color(drawn.fill), opacity * drawn.opacity * drawn.fillOpacity));
        }
      }
    }
    for (const layer of layers) ground = over(layer, ground);
    return { ground, opacity };
  }

  // Each visible text of the page: its element, its box, and what it says.
  function texts(selector) {
    const found = [];
    for (const root of document.querySelectorAll(selector)) {
      const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
      for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const element = node.parentElement;
        const said = node.data.trim();
        if (!said || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
        if (element.closest("script, style, noscript, option, :disabled")) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        const box = range.getBoundingClientRect();
        if (box.width > 1 && box.height > 1) found.push({ element, box, said: said.slice(0, 40) });
      }
    }
    return found;
  }

  function unreadable(selector) {
    const faults = new Set();
    for (const { element, box, said } of texts(selector)) {
      const style = getComputedStyle(element);
      const drawn = element instanceof SVGElement;
      const { ground, opacity } = behind(element, box);
      const ink = color(drawn ? style.fill : style.color);
      const ratio = contrast(over(faded(ink, opacity * (drawn ? style.fillOpacity : 1)), ground), ground);
      const size = parseFloat(style.fontSize) * (drawn ? element.getScreenCTM().a : 1);
      const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
      if (ratio < (large ? 3 : 4.5)) {
        const [front, back] = [ink, ground].map((each) => `rgb(${each.slice(0, 3).map(Math.round)})`);
        faults.add(`${said}: contrast ${ratio.toFixed(2)}, ${front} on ${back}`);
      }
    }
    return [...faults];
  }

  // Lines of drawings that a selector finds, and that stand out too little from what is behind them.
  function faint(selector) {
    const faults = new Set();
    for (const line of document.querySelectorAll(selector)) {
      if (!line.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
      const style = getComputedStyle(line);
      const { ground, opacity } = behind(line, null);
      const ratio = contrast(over(faded(color(style.stroke), opacity * style.strokeOpacity), ground), ground);
      if (ratio < 3) faults.add(`${named(line)}: contrast ${ratio.toFixed(2)}`);
    }
    return [...faults];
  }

  function named(element) {
    const kind = element.getAttribute("class");
    return element.tagName.toLowerCase() + (kind ? "." + kind.trim().replace(/\s+/g, ".") : "");
  }

  // What makes the page wider than its window, and what is cut off on the right where nothing can be scrolled.
  function overflow(selector) {
    const faults = [];
    const wide = document.documentElement.scrollWidth;
    if (wide > innerWidth) faults.push(`the page is ${wide} pixels wide, its window ${innerWidth}`);
    const roots = [...document.querySelectorAll(selector)];
    const pictures = roots.flatMap((root) => [...root.querySelectorAll("img, svg")])
      .filter((each) => each.checkVisibility())
      .map((element) => ({ element, box: element.getBoundingClientRect(), said: named(element) }));
    for (const { element, box, said } of [...pictures, ...texts(selector)]) {
      const path = parents(element.parentElement);
      const frame = path.find((each) => each === document.documentElement
        || (getComputedStyle(each).overflowX !== "visible" && !(each instanceof SVGElement)));
      const scrolls = ["auto", "scroll"].includes(getComputedStyle(frame).overflowX);
      const end = frame === document.documentElement ? innerWidth : frame.getBoundingClientRect().right;
      const out = Math.round(box.right - end);
      if (!scrolls && out > 1) faults.push(`${said}: ${out} pixels outside`);
    }
    return faults;
  }

  // The corners of a drawn text on the page, turned as it is; without the air above and below its letters.
  function corners(text) {
    const { x, y, width, height } = text.getBBox();
    const [top, bottom] = [y + 0.15 * height, y + 0.85 * height];
    const matrix = text.getScreenCTM();
    return [[x, top], [x + width, top], [x + width, bottom], [x, bottom]]
      .map(([across, down]) => new DOMPoint(across, down).matrixTransform(matrix));
  }

  // Whether two rectangles have more than a pixel in common: no direction of a side separates them.
  function meet(one, other) {
    return [one, other].every((box) => [[0, 1], [1, 2]].every(([from, to]) => {
      const [across, down] = [box[to].x - box[from].x, box[to].y - box[from].y];
      const length = Math.hypot(across, down);
      const [a, b] = [one, other].map((all) => all.map((each) => (each.x * across + each.y * down) / length));
      return Math.min(Math.max(...a), Math.max(...b)) - Math.max(Math.min(...a), Math.min(...b)) > 1;
    }));
  }

  // Texts of drawings that their drawing cuts off, or that lie on another text of it.
  function collisions(selector) {
    const elements = new Set(texts(selector).map(({ element }) => element.closest("text")).filter(Boolean));
    const drawn = [...elements].map((element) => (
      { drawing: element.ownerSVGElement, box: corners(element), said: element.textContent.trim() }));
    const faults = [];
    drawn.forEach(({ drawing, box, said }, index) => {
      const { left, right, top, bottom } = drawing.getBoundingClientRect();
      if (box.some(({ x, y }) => x < left - 1 || x > right + 1 || y < top - 1 || y > bottom + 1)) {
        faults.push(`${said}: sticks out of its drawing`);
      }
      for (const other of drawn.slice(index + 1)) {
        if (drawing === other.drawing && meet(box, other.box)) faults.push(`${said}: lies on ${other.said}`);
      }
    });
    return faults;
  }

  const measures = { unreadable, faint, overflow, collisions };
  return (what, selector) => measures[what](selector);
})()
