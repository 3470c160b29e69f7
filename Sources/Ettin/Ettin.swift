// What an application needs, under one import.
@_exported public import EttinHub
@_exported public import EttinInference
@_exported public import EttinModel
@_exported public import EttinPrimitives
@_exported public import EttinTokenizer
@_exported public import Torch
