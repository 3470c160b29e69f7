// Runs adapters and the training of embedding models for the checks in Interop/: one line of JSON each way; see
// AdapterRequests.swift.

import ProbeSupport

serve(answerAdapterRequest)
