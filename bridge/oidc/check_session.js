// The page that clients frame to ask whether the person at their side is still the same: OpenID Connect Session
// Management 1.0, section 3.2. Plain and synchronous, for browsers without promises or a digest of their own.
(function () {
  "use strict";
  var K = [], H = [], n = 2;
  function fraction(x) { return ((x - Math.floor(x)) * 4294967296) | 0; }
  for (; K.length < 64; n++) {
    var prime = true;
    for (var d = 2; d * d <= n; d++) { if (n % d === 0) { prime = false; } }
    if (prime) {
      if (H.length < 8) { H.push(fraction(Math.pow(n, 1 / 2))); }
      K.push(fraction(Math.pow(n, 1 / 3)));
    }
  }
  function turn(x, by) { return (x >>> by) | (x << (32 - by)); }
  // SHA-256 (FIPS 180-4) of ASCII text, in hex.
  function sha256(text) {
    var words = [], bits = text.length * 8, state = H.slice(), i, at;
    for (i = 0; i < text.length; i++) { words[i >> 2] = (words[i >> 2] || 0) | (text.charCodeAt(i) << (24 - (i % 4) * 8)); }
    words[text.length >> 2] = (words[text.length >> 2] || 0) | (128 << (24 - (text.length % 4) * 8));
    var length = (((text.length + 8) >> 6) + 1) * 16;
    for (i = 0; i < length; i++) { words[i] = words[i] || 0; }
    words[length - 1] = bits;
    for (at = 0; at < length; at += 16) {
      var w = words.slice(at, at + 16), s = state.slice();
      for (i = 0; i < 64; i++) {
        if (i >= 16) {
          var a = w[i - 15], b = w[i - 2];
          w[i] = (w[i - 16] + (turn(a, 7) ^ turn(a, 18) ^ (a >>> 3)) + w[i - 7]
            + (turn(b, 17) ^ turn(b, 19) ^ (b >>> 10))) | 0;
        }
        var one = (s[7] + (turn(s[4], 6) ^ turn(s[4], 11) ^ turn(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6]))
          + K[i] + w[i]) | 0;
        var two = ((turn(s[0], 2) ^ turn(s[0], 13) ^ turn(s[0], 22))
          + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]))) | 0;
        s = [(one + two) | 0, s[0], s[1], s[2], (s[3] + one) | 0, s[4], s[5], s[6]];
      }
      for (i = 0; i < 8; i++) { state[i] = (state[i] + s[i]) | 0; }
    }
    return state.map(function (x) { return ("0000000" + (x >>> 0).toString(16)).slice(-8); }).join("");
  }
  function cookie(name) {
    var pairs = document.cookie.split("; ");
    for (var i = 0; i < pairs.length; i++) {
      if (pairs[i].indexOf(name + "=") === 0) { return pairs[i].slice(name.length + 1); }
    }
    return "";
  }
  // What is asked is "client_id session_state"; a client's name may have spaces in it, the other has none.
  function answer(asked, origin, state) {
    var found = typeof asked === "string" && /^([ -~]+) ([0-9a-f]{64})\.([0-9A-Za-z]{22})$/.exec(asked);
    if (!found) { return "error"; }
    return sha256([found[1], origin, state, found[3]].join(" ")) === found[2] ? "unchanged" : "changed";
  }
  window.addEventListener("message", function (event) {
    if (!event.source || event.source === window) { return; }
    var state = cookie("COOKIE"), found = answer(event.data, event.origin, state);
    function say(words) { event.source.postMessage(words, event.origin); }
    // A browser may keep our cookies from a frame of another site. Then we do not know, and nobody is to be signed out.
    if (state || !document.hasStorageAccess) { say(found); return; }
    document.hasStorageAccess().then(function (known) { say(known ? found : "error"); });
  }, false);
})();
