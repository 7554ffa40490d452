const http = require('node:http');

const port = Number(process.env.PORT);
http
  .createServer((request, response) => {
    response.setHeader('content-type', 'text/plain');
    response.end(`Hello from instance ${process.env.CF_INSTANCE_INDEX}, version 1\n`);
  })
  .listen(port, () => console.log(`listening on ${port}`));
