<?php
/**
 * Has a reset link mailed to a user.
 *
 *     php reset_password.php email user@example.com
 *     php reset_password.php id 17
 *
 * The environment is that of login_api.php.  Prints the answer as JSON.
 */

declare(strict_types=1);

require __DIR__ . '/login_api.php';

echo json_encode(call_login_api('ResetPassword', isset($argv[2]) ? [$argv[1] => $argv[2]] : [])), "\n";
