<?php
/**
 * Asks whether an e-mail address and a password belong together.
 *
 *     LOGIN_API=https://login.example.com/includes/api.php LOGIN_IDENTIFIER=… LOGIN_SECRET=… \
 *         php validate_login.php user@example.com 'the password'
 *
 * Prints the answer as JSON.  On success `passwordhash` is the person's session: keep it in your own server-side
 * session, as `login_auth_tk`, and call session_regenerate_id(true) first.
 */

declare(strict_types=1);

require __DIR__ . '/login_api.php';

$answer = call_login_api('ValidateLogin', ['email' => $argv[1], 'password2' => $argv[2]]);

if ($answer['result'] === 'success' && $answer['twoFactorEnabled']) {
    // The password was right, and nobody is signed in yet.
    fwrite(STDERR, "a second factor is needed\n");
}
echo json_encode($answer), "\n";
