// Package notifier is the service that tells the owner of a job of its end, by mail:
// a link to the MP3 if the conversion succeeded, else why it failed and what can be
// done about it.
//
// [Notifier.Handle] is the handler of the notices in the queue. One outcome of a job
// leads to one mail:
//
//   - The job's row says whether its end has been told. A notifier first claims the
//     notice in the row, so that of two that work on it at once one does nothing.
//   - What was told is written into the row after the mail server has taken the
//     mail. A job that was retried by its owner in the meantime is left alone: its
//     next end has a notice of its own.
//   - A refusal for good (no such mailbox) is written into the row too, and ends the
//     matter. Anything else is an error, and the queue tries again later.
//
// A second mail is possible in one case, which no order of steps can rule out: the
// mail server has taken the mail, and the process ends, or loses the mail server's
// answer or the database, before the row says so. Then the notice is sent again
// after its lease, with the same Message-ID, by which mail servers and programs can
// tell that it is one.
package notifier
