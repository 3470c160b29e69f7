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

let encoder = try TextEmbeddingPipeline(folder: arguments[1])
let embeddings = try encoder.encode(Array(arguments[2...]), normalize: true)
let cosine = zip(embeddings[0], embeddings[1]).reduce(0) { sum, pair in sum + pair.0 * pair.1 }
print(cosine)
