require('node:http')
  .createServer((_request, response) => response.end('The worker works beside me\n'))
  .listen(process.env.PORT);
