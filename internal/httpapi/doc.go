// Package httpapi is what the HTTP services have in common: problems as answers
// ([RFC 9457], each with a stable code), the OpenAPI set-up, one log line a request,
// time-outs, health, and a shutdown that lets requests finish.
//
// [RFC 9457]: https://www.rfc-editor.org/rfc/rfc9457
package httpapi
