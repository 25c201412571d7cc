// A Node.js module for t/integration/ping.t, for every version from 0.10 on: node child.js CASE
"use strict";
var work = process.argv[2];

function block(ms) { for (var end = Date.now() + ms; Date.now() < end;); }
function end(code, ms) { setTimeout(function () { process.exit(code); }, ms); }
function linger() { end(99, 60000); }
function answer(message) { process.send({ pong: message.ping }); }

var cases = {
  happy: function () { process.on("message", answer); end(7, 1200); },
  blocked: function () {
    process.on("message", function (message) { answer(message); if (message.ping === 2) block(60000); });
    linger();
  },
  wrong: function () {
    process.on("message", function (message) { process.send({ pong: message.ping + 1 }); });
    linger();
  },
  odd: function () {
    process.on("message", function () { process.send({ pong: "one" }); });
    linger();
  },
  disconnect: function () { process.on("message", answer); setTimeout(function () { process.disconnect(); }, 300); linger(); },
  exits: function () { process.on("message", function () { process.exit(5); }); },
  loads: function () { block(4000); process.on("message", answer); end(7, 1200); },
  late: function () { setTimeout(function () { process.on("message", answer); }, 1300); end(7, 3000); },
  deaf: linger,
  chatty: function () {
    process.on("message", function (message) { process.send({ hello: "world" }); process.send("text"); answer(message); });
    end(7, 1200);
  },
  handle: function () {
    var server = require("net").createServer();
    process.on("message", answer);
    server.listen(0, "127.0.0.1", function () { process.send({ take: "this" }, server); });
    end(7, 2500);
  },
  long: function () { process.send({ big: new Array(2 << 20).join("x") }); linger(); },
  garbage: function () {
    var fd = (process.channel || process._channel).fd;
    require("fs").writeSync(fd, new Buffer("rubbish\n"), 0, 8);
    linger();
  }
};
if (work === "arguments") {
  console.log(process.argv.slice(3).join("|") + "|" + process.env.NODE_UNIQUE_ID + "|" + process.env.NODE_CHANNEL_FD);
  process.exit(0);
}
cases[work]();
