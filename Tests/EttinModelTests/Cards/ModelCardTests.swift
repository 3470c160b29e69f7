import TestSupport
import Testing

@testable import EttinModel

@Suite("Model cards")
struct ModelCardTests {
    @Test("A full card has metadata for the Hub and sections for people")
    func full() throws {
        var card = ModelCard(title: "my-encoder")
        card.license = "mit"
        card.languages = ["en"]
        card.summary = "Finds passages."
        card.pipelineTag = "sentence-similarity"
        card.tags = ["dense"]
        card.datasets = ["sentence-transformers/msmarco"]
        card.baseModel = "jhu-clsp/ettin-encoder-17m"
        card.metrics = [
            .init(task: "text-retrieval", dataset: "MS MARCO", split: "dev", name: "ndcg@10", value: 0.25),
            .init(task: "text-retrieval", dataset: "MS MARCO", split: "dev", name: "mrr@10", value: 1e-7),
        ]
        card.recipe = [.init("learning rate", "8e-5"), .init("a|b", "x\ny")]
        card.usage = "ettin embed me/my-encoder text"
        let expected = """
            ---
            license: mit
            language:
            - en
            library_name: transformers
            pipeline_tag: sentence-similarity
            tags:
            - dense
            datasets:
            - sentence-transformers/msmarco
            base_model: jhu-clsp/ettin-encoder-17m
            base_model_relation: finetune
            metrics:
            - "ndcg@10"
            - "mrr@10"
            model-index:
            - name: my-encoder
              results:
              - task:
                  type: text-retrieval
                dataset:
                  name: "MS MARCO"
                  type: MS-MARCO
                  split: dev
                metrics:
                - type: "ndcg@10"
                  value: 0.25
                - type: "mrr@10"
                  value: 1.0e-07
            ---

            # my-encoder

            Finds passages.

            Made from `jhu-clsp/ettin-encoder-17m` (finetune).

            ## How to use

            ```bash
            ettin embed me/my-encoder text
            ```

            ## Training data

            - `sentence-transformers/msmarco`

            ## Training recipe

            | setting | value |
            | --- | --- |
            | learning rate | 8e-5 |
            | a\\|b | x y |

            ## Evaluation

            | data | metric | value |
            | --- | --- | --- |
            | MS MARCO (dev) | ndcg@10 | 0.25 |
            | MS MARCO (dev) | mrr@10 | 1e-07 |

            """
        #expect(card.text == expected)
        try withTemporaryFolder { folder in
            try card.write(toFolder: folder.path)
            #expect(try folder.read("README.md") == Array(expected.utf8))
        }
    }

    @Test("What is not known is left out")
    func bare() {
        #expect(ModelCard(title: "x").text == "---\nlibrary_name: transformers\n---\n\n# x\n")
    }

    @Test("Words that YAML would take for something else are quoted")
    func quoting() {
        var card = ModelCard(title: "x")
        card.languages = ["no", "en", "zh-Hans"]
        card.tags = ["1.0", "a: b", "tag \"q\"", "#x", "Übung"]
        let text = card.text
        for line in [#"- "no""#, "- en", "- zh-Hans", #"- "1.0""#, #"- "a: b""#, #"- "tag \"q\"""#, ##"- "#x""##] {
            #expect(text.contains(line + "\n"), "\(line)")
        }
        #expect(text.contains(#"- "\u00dcbung""#))
    }
}
