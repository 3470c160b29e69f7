// A server with one route: texts in, embeddings out. Requests that come together are computed together.
//
//     swift run EmbeddingServer lightonai/DenseOn 8080
//     curl localhost:8080/embed -H 'Content-Type: application/json' -d '{"inputs": ["A cat sits."]}'

import Ettin
import Foundation
import Hummingbird

struct EmbedRequest: Decodable {
    let inputs: [String]
}

@main
struct EmbeddingServer {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3, let port = Int(arguments[2]) else {
            print("usage: EmbeddingServer MODEL PORT")
            exit(64)
        }
        let encoder = try await TextEncoder(arguments[1])
        let router = Router()
        router.post("embed") { request, context -> [[Float]] in
            let body = try await request.decode(as: EmbedRequest.self, context: context)
            do {
                let embeddings = try await encoder.encode(body.inputs, normalize: true)
                return (0..<embeddings.count).map { Array(embeddings[$0]) }
            } catch let error as InferenceError {
                switch error {
                case .overlongText, .unsuitableText, .invalidOption:
                    throw HTTPError(.unprocessableContent, message: "\(error)")
                default: throw error
                }
            }
        }
        let address = BindAddress.hostname("127.0.0.1", port: port)
        try await Application(router: router, configuration: .init(address: address)).runService()
    }
}
