// Calls one of the public JavaScript clients as its documentation says, and prints what came of it as JSON.
// Standard input: {client, url, identifier, secret, accesskey, action, values}.
'use strict'

const call = JSON.parse(require('fs').readFileSync(0, 'utf8'))

// Its own names for the actions that it knows: values → arguments.
const WHMCS = {
  ValidateLogin: ['validateLogin', ({ email, password2 }) => [email, password2]],
  AddClient: ['createCustomer', values => [values]],
  UpdateClient: ['updateCustomer', ({ clientid, ...rest }) => [clientid, rest]],
  GetClientsDetails: ['getCustomer', ({ clientid, ...rest }) => [clientid, rest]],
  GetContacts: ['getContacts', ({ userid, ...rest }) => [userid, rest]],
  DeleteClient: ['deleteCustomer', ({ clientid }) => [clientid]]
}

function whmcs ({ url, identifier, secret, accesskey, action, values }) {
  const Client = require('whmcs')
  const client = new Client({ serverUrl: url, username: identifier, password: secret, apiKey: accesskey })
  const [method, given] = WHMCS[action]
  return new Promise((resolve, reject) =>
    client.customers[method](...given(values), (error, data) => error ? reject(error) : resolve(data)))
}

function whmcsJs ({ url, identifier, secret, accesskey, action, values }) {
  const groups = require('whmcs-js')
  const method = action[0].toLowerCase() + action.slice(1)
  const Group = Object.values(groups).find(each => each.prototype[method])
  const client = new (Group || groups.System)({ serverUrl: url, identifier, secret, accesskey })
  return Group ? client[method](values) : client.callApi({ action, ...values })
}

(call.client === 'whmcs' ? whmcs : whmcsJs)(call).then(
  value => process.stdout.write(JSON.stringify({ value })),
  error => process.stdout.write(JSON.stringify({ error: error.message })))
