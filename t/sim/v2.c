/* The v2 API. */
#include "member.h"

void
v2_request(struct exchange *exchange)
{
	exchange_answer(exchange, 404, "404 page not found\n");
}

void
v2_closed(struct exchange *exchange)
{
	(void)exchange;
}
