"""The OpenID Provider: each specification and the file that holds it.  The file's first line names it.

    RFC 6749 §3.1, §4.1.1; Core §3.1.2, §3.2.2, §3.3.2        authorize.py
    RFC 6749 §4.1.1; Core §3.1.2.1                            request.py
    RFC 9101; Core §6; RFC 8725                               request_object.py
    Core §3.1.2.1, §3.1.2.3                                   prompts.py
    Core §3.1.2.1                                             browser.py
    RFC 6749 §3.1.2; RFC 9700 §2.1; RFC 8252 §7.3             redirect.py
    Multiple Response Types; Form Post; RFC 9207              response_modes.py
    Core §3.2.2.5, §3.3.2.5; RFC 6749 §4.2.2                  front_channel.py
    RFC 7636                                                  pkce.py
    RFC 6749 §3.1, §3.2                                       params.py
    RFC 6749 §3.2, §5; Core §3.1.3                            token.py
    RFC 6749 §2.3; Core §9                                    client_auth.py
    RFC 7523 §3; Core §9; RFC 8725                            assertion.py
    Registration 1.0 §2; Core §10.1.1                         client_keys.py
    RFC 6749 §4.1.3, §4.4, §4.5, §6                           grants/*.py
    Core §2, §3.1.3.6, §3.3.2.11                              id_token.py
    Core §5.3.2, §10.1, §10.2                                 client_tokens.py
    RFC 6750 §2, §3                                           access_token.py
    Core §5.3; RFC 6750                                       userinfo.py
    Core §5.1, §5.4                                           claims.py
    Core §5.3.2, §5.4                                         telling.py
    Core §5.5, §5.5.1                                         claims_parameter.py
    Core §2, §3.1.2.1, §5.5.1.1; RFC 8176; RFC 9470           acr.py
    Discovery 1.0 §3, §4; RFC 8414; RFC 9207                  discovery.py
    RFC 7517 §5; Core §10.1                                   jwks.py
    RFC 7591, RFC 7592; Registration 1.0                      registration.py
    Core §8.1; Registration 1.0 §5                            sector.py
    RFC 7009                                                  revocation.py
    RFC 7662                                                  introspection.py
    RP-Initiated Logout 1.0 §2, §3                            logout.py
    Back-Channel Logout 1.0 §2.4, §2.5                        backchannel_logout.py
    Front-Channel Logout 1.0 §2, §3                           frontchannel_logout.py
    Session Management 1.0 §2, §3                             session_management.py

Beside them: `errors.py` (all wire errors), `showing.py` (what people see of an app, and of an error), `cors.py`,
`aliases.py` (the endpoints by WHMCS's names), `issue.py` (what handing out tokens needs), `options.py`, and
`provider.py`, which puts the endpoints together.
"""
