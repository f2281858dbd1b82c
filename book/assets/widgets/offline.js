// Between require.js and embed-amd.js: what these two need to work without a network.

// The fonts of the widgets' script lie beside this file.
requirejs.config({
  paths: { "@jupyter-widgets/html-manager/dist": new URL("fonts", document.currentScript.src).href },
});

// It calls version 2 of MathJax to set labels; the pages carry version 3.
window.addEventListener("load", () => {
  if (!window.MathJax || window.MathJax.Hub) return;
  window.MathJax.Hub = {
    Queue: ([, , node]) =>
      window.MathJax.startup.promise.then(() => window.MathJax.typesetPromise([node])),
  };
});
