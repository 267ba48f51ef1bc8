<?php
/**
 * Asks the login API whether an e-mail address and a password belong together.
 *
 *     LOGIN_API=https://login.example.com/includes/api.php LOGIN_IDENTIFIER=… LOGIN_SECRET=… \
 *         php validate_login.php user@example.com 'the password'
 *
 * Prints the answer as JSON.  On success `passwordhash` is the person's session: keep it in your own server-side
 * session, under `login_auth_tk`, and call session_regenerate_id(true) first.
 * With LOGIN_MULTIPART=1 the fields are given to cURL as an array, which it sends as multipart/form-data.
 */

declare(strict_types=1);

function call_login_api(array $fields): array
{
    $fields += [
        'identifier' => getenv('LOGIN_IDENTIFIER'),
        'secret' => getenv('LOGIN_SECRET'),
        'responsetype' => 'json',
    ];
    $curl = curl_init();
    curl_setopt($curl, CURLOPT_URL, getenv('LOGIN_API'));
    curl_setopt($curl, CURLOPT_POST, 1);
    curl_setopt($curl, CURLOPT_TIMEOUT, 30);
    curl_setopt($curl, CURLOPT_RETURNTRANSFER, 1);
    curl_setopt($curl, CURLOPT_POSTFIELDS, getenv('LOGIN_MULTIPART') ? $fields : http_build_query($fields));
    $answer = curl_exec($curl);
    if ($answer === false) {
        throw new RuntimeException('no answer: ' . curl_error($curl));
    }
    return json_decode($answer, true, 16, JSON_THROW_ON_ERROR);
}

$answer = call_login_api(['action' => 'ValidateLogin', 'email' => $argv[1], 'password2' => $argv[2]]);

// A second factor is owed: the password was right, and nobody is signed in yet.
if ($answer['result'] === 'success' && $answer['twoFactorEnabled']) {
    fwrite(STDERR, "a second factor is needed\n");
}
echo json_encode($answer), "\n";
