<?php
// CODE: the documented function stands here
$input = json_decode(stream_get_contents(STDIN), true);
$socket = stream_socket_client("tcp://127.0.0.1:{$input['port']}");
$mget = function (array $keys) use ($socket) {
    $command = '*' . (count($keys) + 1) . "\r\n$4\r\nMGET\r\n";
    foreach ($keys as $key) $command .= '$' . strlen($key) . "\r\n$key\r\n";
    fwrite($socket, $command);
    fgets($socket);
    return array_map(function () use ($socket) {
        $length = (int) substr(fgets($socket), 1);
        return $length < 0 ? null : substr(stream_get_contents($socket, $length + 2), 0, $length);
    }, $keys);
};
$keys = array_map('hex2bin', $input['record_keys']);
foreach ($input['cases'] as $case) {
    $found = session_of($case['token'], $case['place'], $case['ip'], $mget, $keys, $input['issuer'], $case['now']);
    echo $found === null ? 'nobody' : $found['uid'], "\n";
}
