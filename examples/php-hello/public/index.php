<?php
// Every path that is no file comes here, as with the rewrite rule of Apache or nginx.
header('Content-Type: text/plain');
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
echo "Hello from PHP at $path\n";
