// Has no port and no route: it is healthy as long as it runs.
let done = 0;
setInterval(() => console.log(`piece of work ${++done} is done`), 1000);
process.on('SIGTERM', () => {
  console.log('finished what was begun');
  process.exit(0);
});
