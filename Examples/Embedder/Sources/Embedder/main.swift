// Prints how similar two sentences are: the cosine of their embeddings.
//
//     swift run Embedder MODEL "A cat sits." "A feline rests."

import Ettin
import Foundation

let arguments = CommandLine.arguments
guard arguments.count == 4 else {
    print("usage: Embedder MODEL SENTENCE SENTENCE")
    exit(64)
}

// A folder, or a name on the Hub, such as ettin-encoder-17m or nomic-ai/modernbert-embed-base.
let encoder = try await TextEncoder(arguments[1])
let embeddings = try await encoder.encode(arguments[2...], normalize: true)
let cosine = zip(embeddings[0], embeddings[1]).reduce(0) { sum, pair in sum + pair.0 * pair.1 }
print(cosine)
