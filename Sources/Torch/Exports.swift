// Packed batches and the random numbers of weights are arguments of what computes, so that who computes has them too.
@_exported public import EttinPrimitives
