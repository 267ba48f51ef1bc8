// Calls one of the public JavaScript clients as its documentation says, and prints what came of it as JSON.
// Standard input: {client, url, identifier, secret, accesskey, action, values}.
'use strict'

const call = JSON.parse(require('fs').readFileSync(0, 'utf8'))

function whmcs ({ url, identifier, secret, accesskey, values }) {
  const Client = require('whmcs')
  const client = new Client({ serverUrl: url, username: identifier, password: secret, apiKey: accesskey })
  return new Promise((resolve, reject) =>
    client.customers.validateLogin(values.email, values.password2, (error, data) => error ? reject(error) : resolve(data)))
}

function whmcsJs ({ url, identifier, secret, accesskey, action, values }) {
  const { Authentication } = require('whmcs-js')
  const client = new Authentication({ serverUrl: url, identifier, secret, accesskey })
  return action === 'ValidateLogin' ? client.validateLogin(values) : client.callApi({ action, ...values })
}

(call.client === 'whmcs' ? whmcs : whmcsJs)(call).then(
  value => process.stdout.write(JSON.stringify({ value })),
  error => process.stdout.write(JSON.stringify({ error: error.message })))
