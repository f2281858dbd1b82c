/* Native controls for plotly's sliders, menus and buttons.
   Plotly draws its own as SVG, which no key can reach and no screen reader announces. This puts
   the same steps into <input type="range">, <select> and <button> below the figure; queen.css
   hides the drawn ones. No kernel, no network. */
(() => {
  const element = (name, properties, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  const apply = (plot, step) => Plotly[step.method](plot, ...step.args);

  // The frame a step shows, or its label where it shows none.
  const frameOf = (step) => (step.method === "animate" ? step.args[0]?.[0] : step.label);

  function rangeFor(plot, number) {
    const steps = plot.layout.sliders[number].steps;
    const prefix = plot.layout.sliders[number].currentvalue?.prefix || "";
    const range = element("input", { type: "range", min: 0, max: steps.length - 1, step: 1 });
    const value = element("output");
    const row = element("label", { className: "qr-slider" }, element("span", { textContent: prefix }), range, value);
    const show = (at) => {
      range.value = at;
      value.textContent = steps[at].label;
      range.setAttribute("aria-valuetext", `${prefix}${steps[at].label}`);
    };
    range.addEventListener("input", () => {
      show(Number(range.value));
      plot.layout.sliders[number].active = Number(range.value);
      apply(plot, steps[range.value]);
    });
    const sync = () => {
      const slider = plot.layout.sliders[number];
      row.hidden = slider.visible === false;
      show(slider.active || 0);
    };
    plot.on("plotly_animatingframe", (event) => {  // while it plays
      const at = steps.findIndex((step) => frameOf(step) === event.name);
      if (at >= 0) show(at);
    });
    for (const change of ["plotly_relayout", "plotly_update"]) plot.on(change, sync);
    sync();
    return row;
  }

  function menuFor(plot, menu) {
    if (menu.type === "buttons") {
      return element("span", { className: "qr-buttons" }, ...menu.buttons.map((button) =>
        element("button", { type: "button", textContent: button.label, onclick: () => apply(plot, button) })));
    }
    const choices = menu.buttons.map((button) => element("option", { textContent: button.label }));
    const select = element("select", {}, ...choices);
    select.selectedIndex = menu.active || 0;
    select.addEventListener("change", () => apply(plot, menu.buttons[select.selectedIndex]));
    return element("label", { className: "qr-menu" }, element("span", { textContent: "show" }), select);
  }

  function addControls(plot) {
    const { sliders = [], updatemenus = [] } = plot.layout;
    if (!sliders.length && !updatemenus.length) return;
    const menus = updatemenus.map((menu) => menuFor(plot, menu));
    const ranges = sliders.map((_, number) => rangeFor(plot, number));
    plot.closest(".qr-figure").append(element("div", { className: "qr-controls" }, ...menus, ...ranges));
  }

  // Plotly is ready with a figure when its layout is there and its frames are known.
  function whenDrawn(plot) {
    if (plot.layout && plot.querySelector(".main-svg")) addControls(plot);
    else requestAnimationFrame(() => whenDrawn(plot));
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".qr-figure .plotly-graph-div").forEach(whenDrawn);
  });
})();
