// etcdlocker -k KEY -n -- contrib/ping/answer.js
//
// Answers pings, as the modules of etcd-lock 1.x do. A listener keeps the process alive: end it with process.exit().
process.on("message", function (message) {
  if (message.ping !== undefined) process.send({ pong: message.ping });
});

setTimeout(function () { process.exit(0); }, Number(process.argv[2] || 3) * 1000); // the work
