# A web server in thirty lines, so that this app needs no gem of a registry. Yours has puma, and a config.ru.
require "bundler/setup"
require "greeting"
require "socket"

server = TCPServer.new("0.0.0.0", Integer(ENV.fetch("PORT")))
puts "listening on #{ENV.fetch('PORT')}"
$stdout.flush
trap("TERM") { exit }

loop do
  Thread.new(server.accept) do |socket|
    path = socket.gets.to_s.split[1] || "/"
    nil until ["\r\n", nil].include?(socket.gets)
    body = Greeting.to(path == "/" ? "you" : path.delete_prefix("/"))
    socket.write "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: #{body.bytesize}\r\nConnection: close\r\n\r\n#{body}"
  ensure
    socket.close
  end
end
