// Package job is the domain of the service: what a conversion job is, which states
// it can be in, what a user may ask for, and how it can fail. It knows nothing of
// HTTP, SQL, queues or libav, and imports the standard library only.
//
// A job is a row; the row is the truth. Whoever changes it does so by
// compare-and-set on its state and attempt, so that of two who believe they own a
// job only one is right:
//
//	queued --> running --> succeeded --> expired
//	  ^  \        |  \---> failed -----> expired
//	  |   \       |
//	  |    \------+------> canceled ---> expired
//	  +-- (worker lost, or another try; failed by a user's retry)
//
// [State.To] is that picture as code.
package job
