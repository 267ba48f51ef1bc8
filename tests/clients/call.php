<?php
/** Any action by the PHP example: `php call.php ACTION`, its parameters as JSON on standard input. */

declare(strict_types=1);

require __DIR__ . '/../../examples/php_curl/login_api.php';

$fields = json_decode(stream_get_contents(STDIN), true, 4, JSON_THROW_ON_ERROR);
echo json_encode(call_login_api($argv[1], $fields)), "\n";
