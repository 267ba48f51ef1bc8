<?php
/**
 * Calls the login API with PHP's cURL.
 *
 * LOGIN_API, LOGIN_IDENTIFIER and LOGIN_SECRET in the environment say where and as whom; LOGIN_ACCESSKEY where the
 * server's address is not on the API's list.  With LOGIN_MULTIPART=1 the fields are given to cURL as an array, which
 * it sends as multipart/form-data; both forms are understood.
 */

declare(strict_types=1);

function call_login_api(string $action, array $fields): array
{
    $fields += array_filter([
        'action' => $action,
        'identifier' => getenv('LOGIN_IDENTIFIER'),
        'secret' => getenv('LOGIN_SECRET'),
        'accesskey' => getenv('LOGIN_ACCESSKEY'),
        'responsetype' => 'json',
    ]);
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
